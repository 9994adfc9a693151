// The list of jobs, newest first and page by page, and how much storage the jobs use.

import { apiUrl, ApiError, conditionalGet, pageUrl, request, serverNow } from "../shared/api.js";
import { showConnectionStatus } from "../shared/connection.js";
import { announce, byId, cloneTemplate, part, renderList, setMedia, setProgress, setState, setText }
  from "../shared/dom.js";
import { ago, deletion, expiry, jobName, jobState, plural, resultSummary, size } from "../shared/format.js";
import { hasEnded, recordStatus } from "../shared/notifications.js";
import { Poller } from "../shared/poll.js";

const MAX_THUMBNAILS = 3;
const STORAGE_INTERVAL_MS = 60_000;
const TIMES_REFRESH_MS = 30_000;
const SEARCH_DELAY_MS = 250;

const NO_JOBS = byId("no-jobs").textContent;

const list = byId("jobs");

/**
 * Pages of the list, newest first: {url, get, jobs (null before the first response), next (URL),
 * stale}. A stale page is fetched at the next poll even if none of its jobs is active.
 */
let pages = [];
let pageCount = 1;  // how many the visitor wants to see
let filters = { q: "", status: "" };  // what the shown jobs have in titles or file names, and their state
let storageFetchedAt = -Infinity;
let timesTimer = null;
let searchTimer = null;

const poller = new Poller(poll, showConnectionStatus);

export function open() {
  renderIfLoaded();  // the relative times are out of date
  for (const page of pages) page.stale = true;
  poller.start();
  timesTimer = setInterval(() => document.hidden || renderIfLoaded(), TIMES_REFRESH_MS);
}

export function close() {
  poller.stop();
  clearInterval(timesTimer);
}

/** Forget all jobs, because another person may sign in. */
export function forgetAll() {
  pages = [];
  pageCount = 1;
  byId("job-search").value = byId("job-status").value = "";
  filters = readFilters();
  byId("job-filters").hidden = true;
  storageFetchedAt = -Infinity;
  list.replaceChildren();
  byId("jobs-loading").hidden = false;
  byId("older").hidden = true;
  byId("no-jobs").hidden = true;
  byId("storage").hidden = true;
}

// -- fetching ------------------------------------------------------------------------

const readFilters = () => ({ q: byId("job-search").value.trim(), status: byId("job-status").value });
const isFiltered = () => Boolean(filters.q || filters.status);
const firstUrl = () => apiUrl(isFiltered() ? `jobs?${new URLSearchParams(filters)}` : "jobs");
const newPage = (url) => ({ url, get: conditionalGet(url), jobs: null, next: null, stale: true });
const isActive = ({ status }) => !hasEnded(status);

async function poll() {
  const changed = await fetchPages();
  await fetchStorage();
  return { changed, active: allJobs().some(isActive) };
}

/** Fetch and show what may have changed; return whether a page did. */
async function fetchPages() {
  try {
    return await followNextLinks();
  } catch (error) {
    if (error.status !== 400) throw error;
    // the job named in a page's URL is gone: fetch every page again for new URLs
    for (const page of pages) page.stale = true;
    return followNextLinks();
  }
}

/**
 * Fetch the first page, and of the others those that are stale or have an active job. Each page
 * names the URL of the next one; when that URL changes, the next page is new and is fetched.
 * A page without jobs, on which a search has found nothing, does not count.
 */
async function followNextLinks() {
  let changed = false;
  let url = firstUrl();
  for (let position = 0, wanted = pageCount; url && position < wanted; position += 1) {
    if (pages[position]?.url !== url) pages[position] = newPage(url);
    const page = pages[position];
    const mayHaveChanged = position === 0 || page.stale || page.jobs.some(isActive);
    if (mayHaveChanged && (await fetchPage(page))) changed = true;
    if (!page.jobs.length) wanted += 1;
    url = page.next;
    if (!url) pages.length = position + 1;
  }
  if (changed) renderIfLoaded();  // not where another search has begun in the meantime
  return changed;
}

/** Return whether the page changed. */
async function fetchPage(page) {
  const { data, changed, next } = await page.get();
  Object.assign(page, { jobs: data, next, stale: false });
  data.forEach(recordStatus);
  return changed;
}

/** Show the jobs that have what was typed, a moment after the last key. */
function onSearch() {
  clearTimeout(searchTimer);
  searchTimer = setTimeout(applyFilters, SEARCH_DELAY_MS);
}

function applyFilters() {
  clearTimeout(searchTimer);
  filters = readFilters();
  pages = [];
  pageCount = 1;
  poller.pollNow();
}

/** Every loaded job, newest first. */
const allJobs = () => pages.flatMap((page) => page.jobs ?? []);

/** Return the link to a job, or null when the list does not show it. */
export const linkTo = (id) => list.querySelector(`[data-key="${CSS.escape(id)}"] a`);

async function showOlder() {
  const button = byId("older");
  if (button.ariaDisabled === "true") return;
  const position = pages.length;
  pageCount += 1;
  button.ariaDisabled = "true";  // not disabled: that would lose the focus
  try {
    await fetchPages();
    focusFirst(button, pages[position]?.jobs ?? []);
  } catch (error) {
    showConnectionStatus(error);
  } finally {
    button.ariaDisabled = "false";
  }
}

/** Move the focus from the button to the first of the older jobs. */
function focusFirst(button, olderJobs) {
  announce(`${plural(olderJobs.length, "older job")} shown`);
  const first = olderJobs.length ? linkTo(olderJobs[0].id) : byId("jobs-title");
  if ([button, document.body].includes(document.activeElement)) first.focus();
}

/**
 * Show a change that was made in this tab at once. Every page is fetched with a new conditional
 * GET, so that responses from before the change are ignored. deletedId: a job that was deleted.
 */
export function refreshJobs(deletedId = null) {
  storageFetchedAt = -Infinity;
  pages = pages.map(({ url, jobs, next }) =>
    ({ ...newPage(url), jobs: jobs && jobs.filter(({ id }) => id !== deletedId), next }));
  renderIfLoaded();
  poller.pollNow();
}

// -- rendering -----------------------------------------------------------------------

const renderIfLoaded = () => pages[0]?.jobs && render();

function render() {
  const jobs = allJobs();
  byId("jobs-loading").hidden = true;
  byId("no-jobs").hidden = jobs.length > 0;
  setText(byId("no-jobs"), isFiltered() ? "No job matches." : NO_JOBS);
  if (jobs.length) byId("job-filters").hidden = false;
  byId("older").hidden = !pages.findLast((page) => page.jobs)?.next;
  renderList(list, jobs.map((job) => [job.id, job]), newRow, fillRow, byId("jobs-title"));
}

const newRow = () => cloneTemplate("job-row");

function fillRow(row, job) {
  const now = serverNow();
  const { name, more } = jobName(job);
  part(row, "link").href = pageUrl(`jobs/${job.id}`);
  setText(part(row, "name"), name || `Job ${job.id.slice(0, 6)}`);
  setText(part(row, "more"), more);
  const variations = hasEnded(job.status) ? resultSummary(job)
    : plural(job.totalVariations, "variation");
  const waiting = job.waitsFor ? `. ${job.waitsFor.message}` : "";
  setText(part(row, "facts"), `${plural(job.totalVideos, "video")}, ${variations}${waiting}`);
  fillTimes(row, job, now);
  setState(part(row, "state"), ...jobState(job));
  const percent = job.status === "processing" ? job.progress ?? null : null;
  setProgress(part(row, "progress"), percent, `Progress of ${name}`);
  fillThumbnails(part(row, "thumbnails"), job.files ?? []);
  fillActions(row, job, name);
}

/** A hidden button with the focus passes it to the link. */
function fillActions(row, job, name) {
  const [download, cancel] = [part(row, "download"), part(row, "cancel")];
  const focused = [download, cancel].find((action) => action === document.activeElement);
  download.hidden = !job.downloadUrl;
  if (job.downloadUrl) download.href = job.downloadUrl;
  download.ariaLabel = `Download ZIP of ${name}`;
  cancel.hidden = hasEnded(job.status);
  cancel.ariaLabel = `Cancel ${name}`;
  if (focused?.hidden) part(row, "link").focus();
}

function fillTimes(row, job, now) {
  const created = Date.parse(job.createdAt);
  const time = part(row, "created");
  time.dateTime = job.createdAt;
  time.title = new Date(created).toLocaleString();
  setText(time, ago(created, now));
  const expires = job.expiresAt && hasEnded(job.status) ? Date.parse(job.expiresAt) : Infinity;
  const soon = deletion(expires, now);
  const end = soon ? `deleted ${soon}` : expires < Infinity ? expiry(expires, now) : "";
  setText(part(row, "expires"), end && `, ${end}`);
  part(row, "expires").classList.toggle("soon", soon !== null);
}

function fillThumbnails(parent, files) {
  const shown = files.slice(0, MAX_THUMBNAILS).map((file, position) => [String(position), file]);
  renderList(parent, shown.length ? shown : [["none", {}]], () => cloneTemplate("thumbnail"),
    (frame, file) => setMedia(frame.firstElementChild, file.thumbnailUrl));
}

// -- storage -------------------------------------------------------------------------

/** Fetch at most once an interval how much storage is used. */
async function fetchStorage() {
  if (performance.now() - storageFetchedAt < STORAGE_INTERVAL_MS) return;
  storageFetchedAt = performance.now();
  try {
    showStorage(await request("GET", apiUrl("storage")));
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    byId("storage").hidden = true;
  }
}

function showStorage({ used, quota, free }) {
  const capacity = quota || used + free;
  byId("storage").hidden = false;
  setText(byId("storage-text"), quota ? `${size(used)} of ${size(quota)} used`
    : `${size(used)} used, ${size(free)} free`);
  byId("storage-meter").hidden = !capacity;
  byId("storage-meter").value = capacity ? used / capacity : 0;
}

export function init() {
  byId("older").addEventListener("click", showOlder);
  byId("job-search").addEventListener("input", onSearch);
  byId("job-status").addEventListener("change", applyFilters);
}
