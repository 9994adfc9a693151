// Notifications about jobs that end while the page is in a background tab: in the tab's title
// and, where the browser allows it, as a desktop notification.
//
// A hidden page sends no requests, unless notifications are on and a job is queued or
// processing: then it polls the list of jobs, so that a notification comes within ten seconds.

import { apiUrl, conditionalGet, isGone, request } from "./api.js";
import { storedValue } from "./browser_storage.js";
import { announce, byId, navigate, setText } from "./dom.js";
import { allCompleted, jobName, resultSummary } from "./format.js";
import { token } from "./session.js";

const setting = storedValue("localStorage", "jobserver.notify");
// A hidden page's timers run once a second at most; once a minute where one timer starts the next,
// but here a response starts it: https://developer.chrome.com/blog/timer-throttling-in-chrome-88
const BACKGROUND_POLL_MS = 8_000;
const END_STATES = new Set(["completed", "failed", "cancelled"]);

const statuses = new Map();  // job id -> latest known status
let title = document.title;
let unread = { count: 0, allSucceeded: true };  // notifications since the tab was hidden
let timer = null;

export const hasEnded = (status) => END_STATES.has(status);

/** Set the tab's title; it starts with the number of unread notifications, if any. */
export function setTitle(text) {
  title = text;
  const { count, allSucceeded } = unread;
  document.title = count ? `(${count}) ${allSucceeded ? "✓ " : ""}${title}` : title;
}

/** Store a job's status; when the job has just ended, notify. job: {id, status, files, ...} */
export function recordStatus(job) {
  const previous = statuses.get(job.id);
  statuses.set(job.id, job.status);
  if (previous && !hasEnded(previous) && hasEnded(job.status)) notifyEnded(job);
  if (timer === null) schedulePoll();
}

/** Stop watching a job that no longer exists. */
export const forgetJob = (id) => statuses.delete(id);

const isOn = () => setting.get() === "on";
const isPermitted = () => globalThis.Notification?.permission === "granted";

function notifyEnded(job) {
  const { name, more } = jobName(job);
  const sentence = `${name ? name + more : "A job"}: ${endText(job)}`;
  announce(sentence);
  notifyInBackground(sentence, `jobs/${job.id}`, allCompleted(job));
}

/** Notify if the tab is hidden and notifications are on. path: what a click on it opens. */
export function notifyInBackground(sentence, path, succeeded = false) {
  if (!document.hidden || !isOn()) return;
  unread = { count: unread.count + 1, allSucceeded: unread.allSucceeded && succeeded };
  setTitle(title);
  if (isPermitted()) showNotification(sentence, path);
}

function showNotification(sentence, path) {
  let notification;
  try {
    notification = new Notification("jobserver", { body: sentence, tag: path });
  } catch {
    return;  // mobile browsers allow it in service workers only; the title has to do
  }
  notification.onclick = () => {
    window.focus();
    navigate(path);
    notification.close();
  };
}

function endText(job) {
  if (job.status === "failed") return "every video failed";
  if (job.status === "cancelled") return "cancelled";
  return `finished, ${resultSummary(job)}`;
}

// -- polling in the background -----------------------------------------------------

const unfinished = () => [...statuses].filter(([, status]) => !hasEnded(status)).map(([id]) => id);

const needsPoll = () => document.hidden && isOn() && token() !== null && unfinished().length > 0;

let getJobs = null;

function schedulePoll() {
  clearTimeout(timer);
  timer = needsPoll() ? setTimeout(poll, BACKGROUND_POLL_MS) : null;
}

async function poll() {
  timer = null;
  if (!needsPoll()) return;
  try {
    await fetchUnfinished();
  } catch {
    // the next poll tries again; the views show the error once the tab is visible
  }
  schedulePoll();
}

/** Fetch the newest jobs, then each unfinished job that is not among them. */
async function fetchUnfinished() {
  getJobs ??= conditionalGet(apiUrl("jobs"));
  const { data } = await getJobs();
  data.forEach(recordStatus);
  const listed = new Set(data.map(({ id }) => id));
  for (const id of unfinished()) if (!listed.has(id)) await fetchJob(id);
}

async function fetchJob(id) {
  try {
    recordStatus({ ...(await request("GET", apiUrl(`jobs/${id}`))), id });
  } catch (error) {
    if (!isGone(error)) throw error;
    forgetJob(id);
  }
}

// -- the button ------------------------------------------------------------------------

async function toggle() {
  const on = !isOn();
  setting.set(on ? "on" : "off");
  byId("notify").setAttribute("aria-pressed", String(on));
  if (on) await globalThis.Notification?.requestPermission();
  showSetting();
  if (on) announce(byId("notify-note").textContent || "You will be notified when a job ends.");
}

function showSetting() {
  byId("notify").setAttribute("aria-pressed", String(isOn()));
  setText(byId("notify-note"), isOn() && !isPermitted()
    ? "The browser blocks notifications; the tab’s title will show when a job ends." : "");
}

function onVisibilityChange() {
  if (!document.hidden) {
    unread = { count: 0, allSucceeded: true };
    setTitle(title);
  }
  schedulePoll();
}

/** The setting was changed in another tab. */
function onStorageChange() {
  showSetting();
  schedulePoll();
}

/** Forget all jobs, because another person may sign in. */
export function forgetAll() {
  statuses.clear();
  getJobs = null;
}

export function init() {
  byId("notify").addEventListener("click", toggle);
  document.addEventListener("visibilitychange", onVisibilityChange);
  addEventListener("storage", onStorageChange);
  showSetting();
}
