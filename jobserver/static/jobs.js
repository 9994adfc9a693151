// The list of jobs, newest first, and the storage they use.

import { apiUrl, ApiError, call, conditional, pageUrl, serverNow } from "./api.js";
import { announce, byId, fromTemplate, part, renderList, setBar, setMedia, setState, setText }
  from "./dom.js";
import { ago, expiry, jobName, outcome, plural, size, stateOf } from "./format.js";
import { isOver, saw } from "./notify.js";
import { Poller } from "./poll.js";
import { showTrouble } from "./trouble.js";

const THUMBNAILS = 3;
const STORAGE_MS = 60_000;  // the storage is asked for at most this often
const CLOCK_MS = 30_000;

const list = byId("jobs");

/**
 * Pages of the list, newest first: {url, ask, jobs (null before the answer), next (address), due}.
 * A page that is due is asked for even though nothing on it is at work.
 */
let pages = [];
let wanted = 1;  // pages
let storageAsked = -Infinity;
let clock = null;

const poller = new Poller(ask, showTrouble);

export function open() {
  renderKnown();  // the times have moved, if nothing else has
  for (const page of pages) page.due = true;
  poller.start();
  clock = setInterval(() => document.hidden || renderKnown(), CLOCK_MS);
}

export function close() {
  poller.stop();
  clearInterval(clock);
}

/** Forget everything; somebody else may sign in. */
export function forget() {
  pages = [];
  wanted = 1;
  storageAsked = -Infinity;
  list.replaceChildren();
  byId("jobs-loading").hidden = false;
  byId("older").hidden = true;
  byId("no-jobs").hidden = true;
  byId("storage").hidden = true;
}

const newPage = (url) => ({ url, ask: conditional(url), jobs: null, next: null, due: true });
const isAtWork = ({ status }) => !isOver(status);

async function ask() {
  const changed = await askForPages();
  await askStorage();
  return { changed, active: allJobs().some(isAtWork) };
}

/** Return whether a page changed; what did is shown. */
async function askForPages() {
  try {
    return await followPages();
  } catch (error) {
    if (error.status !== 400) throw error;
    // the job that a page begins after is gone: learn anew where each of them begins
    for (const page of pages) page.due = true;
    return followPages();
  }
}

/**
 * Ask for the first page, and of the others for those that are due or on which something is at
 * work. A page begins where the one before it ends: when that end moves, it is asked for anew.
 */
async function followPages() {
  let changed = false;
  let url = apiUrl("jobs");
  for (let place = 0; url && place < wanted; place += 1) {
    if (pages[place]?.url !== url) pages[place] = newPage(url);
    const page = pages[place];
    const due = place === 0 || page.due || page.jobs.some(isAtWork);
    if (due && (await refresh(page))) changed = true;
    url = page.next;
    if (!url) pages.length = place + 1;
  }
  if (changed) render();
  return changed;
}

/** Return whether the page changed. */
async function refresh(page) {
  const { data, changed, next } = await page.ask();
  Object.assign(page, { jobs: data, next, due: false });
  data.forEach(saw);
  return changed;
}

/** Every known job, newest first. */
const allJobs = () => pages.flatMap((page) => page.jobs ?? []);

/** Return the link to a job, or null when the list does not show it. */
export const linkTo = (id) => list.querySelector(`[data-key="${CSS.escape(id)}"] a`);

async function showOlder() {
  const button = byId("older");
  if (button.ariaDisabled === "true") return;
  const place = pages.length;
  wanted = place + 1;
  button.ariaDisabled = "true";  // not disabled: that would lose the focus
  try {
    await askForPages();
    showFirst(button, pages[place]?.jobs ?? []);
  } catch (error) {
    showTrouble(error);
  } finally {
    button.ariaDisabled = "false";
  }
}

/** Take the person from the button to the first of the jobs that came. */
function showFirst(button, older) {
  announce(`${plural(older.length, "older job")} shown`);
  const first = older.length ? linkTo(older[0].id) : byId("jobs-title");
  if ([button, document.body].includes(document.activeElement)) first.focus();
}

const renderKnown = () => pages[0]?.jobs && render();

function render() {
  const jobs = allJobs();
  byId("jobs-loading").hidden = true;
  byId("no-jobs").hidden = jobs.length > 0;
  byId("older").hidden = !pages.findLast((page) => page.jobs)?.next;
  renderList(list, jobs.map((job) => [job.id, job]), newRow, fillRow, byId("jobs-title"));
}

const newRow = () => fromTemplate("job-row");

function fillRow(row, job) {
  const now = serverNow();
  const { name, more } = jobName(job.files);
  part(row, "link").href = pageUrl(`jobs/${job.id}`);
  setText(part(row, "name"), name || `Job ${job.id.slice(0, 6)}`);
  setText(part(row, "more"), more);
  const variations = isOver(job.status) ? outcome(job) : plural(job.totalVariations, "variation");
  setText(part(row, "facts"), `${plural(job.totalVideos, "video")}, ${variations}`);
  fillTimes(row, job, now);
  setState(part(row, "state"), ...stateOf(job));
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

/**
 * Something was done to a job here: show it without waiting for the next turn. The pages are
 * taken up anew, so that an answer from before comes to nothing; a job that is gone goes at once.
 */
export function changedHere(goneId = null) {
  storageAsked = -Infinity;
  pages = pages.map(({ url, jobs, next }) =>
    ({ ...newPage(url), jobs: jobs && jobs.filter(({ id }) => id !== goneId), next }));
  renderKnown();
  poller.again();
}

export function init() {
  byId("older").addEventListener("click", showOlder);
}
