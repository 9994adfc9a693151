// The list of jobs, newest first, and the storage they use.

import { apiUrl, ApiError, call, conditional, pageUrl, serverNow } from "./api.js";
import { announce, byId, fromTemplate, part, renderList, setBar, setMedia, setState, setText }
  from "./dom.js";
import { ago, expiry, jobName, plural, size } from "./format.js";
import { isOver, saw } from "./notify.js";
import { Poller } from "./poll.js";
import { showTrouble } from "./trouble.js";

const THUMBNAILS = 3;
const STORAGE_MS = 60_000;  // the storage is asked for at most this often
const CLOCK_MS = 30_000;

const list = byId("jobs");

/** Pages of the list, newest first: {url, ask, jobs (null before the answer), next (address)}. */
let pages = [];
let storageAsked = -Infinity;
let clock = null;

const poller = new Poller(ask, showTrouble);

export function open() {
  if (pages[0]?.jobs) render();  // the times have moved, if nothing else has
  poller.start();
  clock = setInterval(() => document.hidden || render(), CLOCK_MS);
}

export function close() {
  poller.stop();
  clearInterval(clock);
}

/** Forget everything; somebody else may sign in. */
export function forget() {
  pages = [];
  storageAsked = -Infinity;
  list.replaceChildren();
  byId("jobs-loading").hidden = false;
  byId("older").hidden = true;
  byId("no-jobs").hidden = true;
  byId("storage").hidden = true;
}

const newPage = (url) => ({ url, ask: conditional(url), jobs: null, next: null });
const isAtWork = ({ status }) => !isOver(status);

/**
 * Ask for the first page, and of the others for those on which something is at work. A page
 * begins where the one before it ends: when new jobs move that end, it is asked for anew.
 */
async function ask() {
  let changed = false;
  let url = apiUrl("jobs");
  for (let place = 0; url && place < Math.max(pages.length, 1); place += 1) {
    if (pages[place]?.url !== url) pages[place] = newPage(url);
    const page = pages[place];
    const due = place === 0 || !page.jobs || page.jobs.some(isAtWork);
    if (due && (await refresh(page))) changed = true;
    url = page.next;
    if (!url) pages.length = place + 1;
  }
  if (changed) render();
  await askStorage();
  return { changed, active: allJobs().some(isAtWork) };
}

/** Return whether the page changed. */
async function refresh(page) {
  const { data, changed, next } = await page.ask();
  Object.assign(page, { jobs: data, next });
  data.forEach(saw);
  return changed;
}

/** Every known job, newest first. */
const allJobs = () => pages.flatMap((page) => page.jobs ?? []);

async function showOlder() {
  const page = newPage(pages.at(-1).next);
  byId("older").disabled = true;
  try {
    await refresh(page);
  } catch (error) {
    return showTrouble(error);
  } finally {
    byId("older").disabled = false;
  }
  pages.push(page);
  render();
  announce(`${plural(page.jobs.length, "older job")} shown`);
  const first = page.jobs[0] && list.querySelector(`[data-key="${CSS.escape(page.jobs[0].id)}"] a`);
  first?.focus();
}

function render() {
  const jobs = allJobs();
  byId("jobs-loading").hidden = true;
  byId("no-jobs").hidden = jobs.length > 0;
  byId("older").hidden = !pages.at(-1)?.next;
  renderList(list, jobs.map((job) => [job.id, job]), newRow, fillRow, byId("jobs-title"));
}

const newRow = () => fromTemplate("job-row");

function fillRow(row, job) {
  const now = serverNow();
  const { name, more } = jobName(job.files);
  part(row, "link").href = pageUrl(`jobs/${job.id}`);
  setText(part(row, "name"), name || `Job ${job.id.slice(0, 6)}`);
  setText(part(row, "more"), more);
  setText(part(row, "facts"),
    `${plural(job.totalVideos, "video")}, ${plural(job.totalVariations, "variation")}`);
  fillTimes(row, job, now);
  setState(part(row, "state"), job.status);
  const bar = job.status === "processing" ? job.progress ?? null : null;
  setBar(part(row, "bar"), bar, `Progress of ${name}`);
  fillThumbnails(part(row, "thumbs"), job.files ?? []);
}

function fillTimes(row, job, now) {
  const created = Date.parse(job.createdAt);
  const time = part(row, "created");
  time.dateTime = job.createdAt;
  time.title = new Date(created).toLocaleString();
  setText(time, ago(created, now));
  const kept = job.expiresAt && isOver(job.status);
  setText(part(row, "expires"), kept ? `, ${expiry(Date.parse(job.expiresAt), now)}` : "");
}

function fillThumbnails(parent, files) {
  const shown = files.slice(0, THUMBNAILS).map((file, place) => [String(place), file]);
  renderList(parent, shown.length ? shown : [["none", {}]], () => fromTemplate("thumb"),
    (thumb, file) => setMedia(thumb.firstElementChild, file.thumbnailUrl));
}

async function askStorage() {
  if (performance.now() - storageAsked < STORAGE_MS) return;
  storageAsked = performance.now();
  try {
    showStorage(await call("GET", apiUrl("storage")));
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    byId("storage").hidden = true;
  }
}

function showStorage({ used, quota, free }) {
  const room = quota || used + free;
  byId("storage").hidden = false;
  setText(byId("storage-text"), quota ? `${size(used)} of ${size(quota)} used`
    : `${size(used)} used, ${size(free)} free`);
  byId("storage-meter").hidden = !room;
  byId("storage-meter").value = room ? used / room : 0;
}

/** A job was made or removed here: show it without waiting for the next turn. */
export function changedHere() {
  storageAsked = -Infinity;
}

export function init() {
  byId("older").addEventListener("click", showOlder);
}
