// Saying that a job has ended while the page is in the background, if the person wants it.
//
// A hidden page asks nothing at all. Once this is turned on, and while a job is at work, it
// asks for the list of jobs, seldom.

import { apiUrl, call, conditional, isGone } from "./api.js";
import { announce, byId, go, setText } from "./dom.js";
import { isWhole, jobName, outcome } from "./format.js";
import { token } from "./session.js";
import { kept } from "./storage.js";

const choice = kept("localStorage", "jobserver.notify");
const SELDOM_MS = 65_000;
const ENDED = new Set(["completed", "failed", "cancelled"]);

const known = new Map();  // job id -> status, from every answer about it
let title = document.title;
let missed = { count: 0, allWell: true };  // what was told to a hidden page
let timer = null;

export const isOver = (status) => ENDED.has(status);

/** Set the tab's title; what ended in the background stays in front of it until it is seen. */
export function setTitle(text) {
  title = text;
  const { count, allWell } = missed;
  document.title = count ? `(${count}) ${allWell ? "✓ " : ""}${title}` : title;
}

/** Note a job's status; when it has just ended, say so. job: {id, status, files, ...} */
export function saw(job) {
  const before = known.get(job.id);
  known.set(job.id, job.status);
  if (before && !isOver(before) && isOver(job.status)) tell(job);
  if (timer === null) plan();
}

/** A job that is gone is not waited for. */
export const forgetJob = (id) => known.delete(id);

const isOn = () => choice.get() === "on";
const mayNotify = () => globalThis.Notification?.permission === "granted";

function tell(job) {
  const { name, more } = jobName(job.files);
  const sentence = `${name ? name + more : "A job"}: ${ending(job)}`;
  announce(sentence);
  tellBehind(sentence, `jobs/${job.id}`, isWhole(job));
}

/** Tell somebody who looks elsewhere, if they want it, what is found at `path` of the page. */
export function tellBehind(sentence, path, isWell = false) {
  if (!document.hidden || !isOn()) return;
  missed = { count: missed.count + 1, allWell: missed.allWell && isWell };
  setTitle(title);
  if (mayNotify()) notify(sentence, path);
}

function notify(sentence, path) {
  let notification;
  try {
    notification = new Notification("jobserver", { body: sentence, tag: path });
  } catch {
    return;  // browsers of phones allow it to service workers alone; the title says it
  }
  notification.onclick = () => {
    window.focus();
    go(path);
    notification.close();
  };
}

function ending(job) {
  if (job.status === "failed") return "every video failed";
  if (job.status === "cancelled") return "cancelled";
  return `finished, ${outcome(job)}`;
}

const running = () => [...known].filter(([, status]) => !isOver(status)).map(([id]) => id);

let askForJobs = null;

async function watch() {
  timer = null;
  if (!isWaiting()) return;
  try {
    await askForRunning();
  } catch {
    // asked again in its turn, and shown by the views once the page is seen
  }
  plan();
}

const isWaiting = () => document.hidden && isOn() && token() !== null && running().length > 0;

/** Ask for the newest jobs, and for those one by one that are waited for and not among them. */
async function askForRunning() {
  askForJobs ??= conditional(apiUrl("jobs"));
  const { data } = await askForJobs();
  data.forEach(saw);
  const listed = new Set(data.map(({ id }) => id));
  for (const id of running()) if (!listed.has(id)) await askFor(id);
}

async function askFor(id) {
  try {
    saw({ ...(await call("GET", apiUrl(`jobs/${id}`))), id });
  } catch (error) {
    if (!isGone(error)) throw error;
    forgetJob(id);
  }
}

/** Ask in a while, if there is something to wait for by now. */
function plan() {
  clearTimeout(timer);
  timer = isWaiting() ? setTimeout(watch, SELDOM_MS) : null;
}

function seen() {
  if (!document.hidden) {
    missed = { count: 0, allWell: true };
    setTitle(title);
  }
  plan();
}

async function toggle() {
  const on = !isOn();
  choice.set(on ? "on" : "off");
  byId("notify").setAttribute("aria-pressed", String(on));
  if (on) await globalThis.Notification?.requestPermission();
  showToggle();
  if (on) announce(byId("notify-note").textContent || "You will be notified when a job ends.");
}

function showToggle() {
  byId("notify").setAttribute("aria-pressed", String(isOn()));
  setText(byId("notify-note"), isOn() && !mayNotify()
    ? "The browser allows no notifications; the tab’s title will say when a job ends." : "");
}

/** It was turned on or off in another tab. */
function follow() {
  showToggle();
  plan();
}

/** Forget what was known; somebody else may sign in. */
export function forget() {
  known.clear();
  askForJobs = null;
}

export function init() {
  byId("notify").addEventListener("click", toggle);
  document.addEventListener("visibilitychange", seen);
  addEventListener("storage", follow);
  showToggle();
}
