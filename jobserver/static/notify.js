// Saying that a job has ended while the page is in the background, if the person wants it.
//
// A hidden page asks nothing at all. Once this is turned on, and while a job is at work, it
// asks for the list of jobs, seldom.

import { apiUrl, conditional } from "./api.js";
import { announce, byId, go } from "./dom.js";
import { jobName, plural } from "./format.js";
import { token } from "./session.js";

const KEY = "jobserver.notify";
const SELDOM_MS = 65_000;
const ENDED = new Set(["completed", "failed", "cancelled"]);

const known = new Map();  // job id -> status, from every answer about it
let title = document.title;
let ended = 0;
let timer = null;

export const isOver = (status) => ENDED.has(status);

/** Set the tab's title; what ended in the background stays in front of it until it is seen. */
export function setTitle(text) {
  title = text;
  document.title = ended ? `(${ended}) ✓ ${title}` : title;
}

/** Note a job's status; when it has just ended, say so. job: {id, status, files, ...} */
export function saw(job) {
  const before = known.get(job.id);
  known.set(job.id, job.status);
  if (before && !isOver(before) && isOver(job.status)) tell(job);
}

/** A job that is gone is not waited for. */
export const forgetJob = (id) => known.delete(id);

const isOn = () => localStorage.getItem(KEY) === "on";

function tell(job) {
  const { name, more } = jobName(job.files);
  const sentence = `${name ? name + more : "A job"}: ${outcome(job)}`;
  announce(sentence);
  if (!document.hidden || !isOn()) return;
  ended += 1;
  setTitle(title);
  if (globalThis.Notification?.permission === "granted") notify(job.id, sentence);
}

function notify(id, sentence) {
  let notification;
  try {
    notification = new Notification("jobserver", { body: sentence, tag: id });
  } catch {
    return;  // browsers of phones allow it to service workers alone; the title says it
  }
  notification.onclick = () => {
    window.focus();
    go(`jobs/${id}`);
    notification.close();
  };
}

function outcome(job) {
  if (job.status === "failed") return "every video failed";
  if (job.status === "cancelled") return "cancelled";
  return `${plural(job.totalVariations, "variation")} asked for, finished`;
}

const somethingRuns = () => [...known.values()].some((status) => !isOver(status));

let askForJobs = null;

async function watch() {
  if (!document.hidden || !isOn() || !token() || !somethingRuns()) return;
  askForJobs ??= conditional(apiUrl("jobs"));
  try {
    const { data } = await askForJobs();
    data.forEach(saw);
  } catch {
    // asked again in its turn, and shown by the views once the page is seen
  }
  plan();
}

function plan() {
  clearTimeout(timer);
  if (document.hidden && isOn()) timer = setTimeout(watch, SELDOM_MS);
}

function seen() {
  if (!document.hidden) {
    ended = 0;
    setTitle(title);
  }
  plan();
}

async function toggle() {
  const on = !isOn();
  localStorage.setItem(KEY, on ? "on" : "off");
  showToggle();
  if (!on) return;
  const answer = await globalThis.Notification?.requestPermission();
  announce(answer === "granted" ? "You will be notified when a job ends."
    : "The tab's title will say when a job ends; the browser allows no notifications.");
}

function showToggle() {
  byId("notify").setAttribute("aria-pressed", String(isOn()));
}

/** Forget what was known; somebody else may sign in. */
export function forget() {
  known.clear();
  askForJobs = null;
}

export function init() {
  byId("notify").addEventListener("click", toggle);
  document.addEventListener("visibilitychange", seen);
  showToggle();
}
