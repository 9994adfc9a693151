// The view of one job: status, progress, results, and the actions cancel, retry and delete.

import { apiUrl, conditionalGet, isGone, request, serverNow } from "../shared/api.js";
import { showConnectionStatus } from "../shared/connection.js";
import { announce, askToConfirm, byId, cloneTemplate, navigate, part, renderList, setMedia,
  setProgress, setShape, setState, setText } from "../shared/dom.js";
import { ago, allCompleted, clock, deletion, differences, duration, expiry, jobName, jobState, plural,
  resultSummary, size } from "../shared/format.js";
import { forgetJob, hasEnded, recordStatus, setTitle } from "../shared/notifications.js";
import { Poller } from "../shared/poll.js";
import { expectedZipBytes } from "../shared/zip_size.js";
import * as compare from "./compare.js";
import { refreshJobs } from "./list.js";

const TIMES_REFRESH_MS = 30_000;

let id = null;
let job = null;
let getJob = null;
let timesTimer = null;
const pendingActions = new Set();  // ids of jobs with an action whose response is awaited

const poller = new Poller(poll, onPollResult);

const jobUrl = (jobId, action = "") => apiUrl(`jobs/${jobId}${action}`);
const isShown = (jobId) => jobId === id && !byId("job").hidden;

/** Show the job with this id and poll it until close(). */
export function open(jobId) {
  id = jobId;
  clearView();
  getJob = jobGetter(jobUrl(id));
  poller.start();
  timesTimer = setInterval(() => document.hidden || (job && renderFacts()), TIMES_REFRESH_MS);
}

export function close() {
  poller.stop();
  clearInterval(timesTimer);
  compare.close();
}

/** As conditionalGet() of a job; its outputs are left out of the answers until there are any. */
function jobGetter(url) {
  const [getWhole, getWithout] = [url, `${url}?outputs=false`].map(conditionalGet);
  let published = false;
  return async () => {
    if (published) return getWhole();
    const answer = await getWithout();
    published = answer.data.completedVariations > 0;
    if (published) return getWhole();
    for (const file of answer.data.files) file.outputs = [];
    return answer;
  };
}

async function poll() {
  const usedGet = getJob;
  const { data, changed } = await usedGet();
  if (changed && usedGet === getJob) {  // otherwise another job is shown by now
    job = data;
    recordStatus({ ...job, id });
    render();
  }
  return { changed, active: !hasEnded(data.status) };
}

function onPollResult(error) {
  if (!isGone(error)) return showConnectionStatus(error);
  forgetJob(id);
  showNotFound();
  return false;
}

/** Remove what is shown of an earlier job, until the first response. */
function clearView() {
  job = null;
  byId("job-body").hidden = true;
  byId("job-files").replaceChildren();
  for (const name of ["job-facts", "job-error"]) setText(byId(name), "");
  byId("job-deletion").hidden = true;
  setText(byId("job-title"), "Job");
  setState(byId("job-state"), "");
}

function showNotFound() {
  clearView();
  compare.close();
  setText(byId("job-title"), "Job not found");
  setText(byId("job-facts"), "It has expired, was deleted, or never existed.");
  setTitle("Job not found · jobserver");
  byId("job-title").focus();
}

// -- status and progress -----------------------------------------------------------

function render() {
  const { name, more } = jobName(job.files);
  setText(byId("job-title"), name + more);
  setTitle(`${name}${more} · jobserver`);
  setState(byId("job-state"), ...jobState(job));
  byId("job-body").hidden = false;
  renderFacts();
  renderProgress();
  renderActions();
  renderList(byId("job-files"), job.files.map((file) => [file.id, file]), newFile, fillFile);
}

function renderFacts() {
  const now = serverNow();
  const each = plural(job.variationsPerVideo, "variation") + (job.totalVideos > 1 ? " of each" : "");
  const facts = [
    `${plural(job.totalVideos, "video")}, ${each}`,
    `recipe ${job.recipe}, seed ${job.seed}`,
    `created ${ago(Date.parse(job.createdAt), now)}`,
  ];
  if (hasEnded(job.status) && !allCompleted(job)) facts.unshift(resultSummary(job));
  const soon = hasEnded(job.status) ? deletion(Date.parse(job.expiresAt), now) : null;
  if (hasEnded(job.status) && !soon) facts.push(expiry(Date.parse(job.expiresAt), now));
  if (!hasEnded(job.status) && allOutputs().length)
    facts.push(`ZIP of about ${size(expectedZipBytes(job))}`);
  setText(byId("job-facts"), facts.join(" · "));
  renderDeletion(soon);
}

/** Warn before the results are deleted; soon: as of deletion(). */
function renderDeletion(soon) {
  const sentence = allOutputs().length
    ? `These results are deleted ${soon}. Download what you want to keep.`
    : `This job is deleted ${soon}.`;
  byId("job-deletion").hidden = !soon;
  setText(byId("job-deletion"), soon ? sentence : "");
}

function renderProgress() {
  const ended = hasEnded(job.status);
  byId("job-progress").hidden = ended;
  if (ended) return;
  setProgress(byId("job-progress-bar"), job.progress);
  setText(byId("job-eta"), progressText());
}

function progressText() {
  if (job.waitsFor) return waitingText(job.waitsFor);
  const timeLeft = job.etaSeconds === null ? "" : `about ${duration(job.etaSeconds)} left`;
  const jobsAhead = (job.queuePosition ?? 1) - 1;
  const progress = job.status !== "queued" ? `${job.progress} % done`
    : jobsAhead ? `Waiting; ${plural(jobsAhead, "job")} ahead in the queue`
    : "Waiting; next in the queue";
  return timeLeft ? `${progress}, ${timeLeft}` : progress;
}

/** What the job waits for beside its turn, in the server's words: nobody knows for how long. */
const waitingText = ({ message }) => job.progress ? `${job.progress} % done. ${message}.`
  : `${message}.`;

const allOutputs = () => job.files.flatMap((file) => file.outputs);
const hasFileIn = (...states) => job.files.some((file) => states.includes(file.status));

function renderActions() {
  const outputs = allOutputs();
  const download = byId("download");
  download.hidden = !outputs.length || !job.downloadUrl;
  if (!download.hidden) download.href = job.downloadUrl;
  const bytes = outputs.reduce((sum, output) => sum + output.size, 0);
  const contents = hasEnded(job.status) ? "all" : "what is ready";
  setText(download, `Download ${contents} as ZIP (${size(bytes)})`);
  showAction("cancel-job", !hasEnded(job.status));
  showAction("retry-job", hasFileIn("failed", "cancelled"));
  const missing = !hasFileIn("cancelled") ? "what failed"
    : hasFileIn("failed") ? "the rest" : "what was cancelled";
  setText(byId("retry-job"), `Retry ${missing}`);
  showAction("delete-job", true);
}

/** Show or hide a button; a hidden button with the focus passes it to the heading. */
function showAction(name, visible) {
  const button = byId(name);
  const hadFocus = document.activeElement === button;
  button.hidden = !visible;
  if (!visible && hadFocus) byId("job-title").focus();
}

// -- files and their outputs ---------------------------------------------------------

const newFile = () => cloneTemplate("file-block");

function fillFile(block, file) {
  setShape(block, file);
  setMedia(part(block, "thumbnail"), file.thumbnailUrl);
  setText(part(block, "name"), file.name);
  setText(part(block, "facts"), fileFacts(file));
  setText(part(block, "error"), file.error ?? "");
  part(block, "error").hidden = !file.error;
  setState(part(block, "state"), file.status);
  const percent = file.status === "processing" ? file.progress : null;
  setProgress(part(block, "progress"), percent, `Progress of ${file.name}`);
  renderList(part(block, "outputs"), file.outputs.map((output) => [output.id, { file, output }]),
    newOutput, fillOutput, byId("job-title"));
}

function fileFacts(file) {
  const facts = [size(file.size)];
  if (file.duration) facts.push(clock(file.duration));
  if (file.width) facts.push(`${file.width} × ${file.height}`);
  facts.push(`${file.completedVariations} of ${plural(job.variationsPerVideo, "variation")}`);
  if (job.totalVideos > 1) facts.push(`seed ${file.seed}`);
  return facts.join(" · ");
}

function newOutput({ file, output }) {
  const card = cloneTemplate("output-card");
  const fileId = file.id;
  part(card, "play").addEventListener("click", () => {
    compare.open(job.files.find((each) => each.id === fileId), output.id);
  });
  return card;
}

function fillOutput(card, { file, output }) {
  setMedia(part(card, "thumbnail"), output.thumbnailUrl);
  setText(part(card, "title"), `Variation ${output.index}`);
  part(card, "play").setAttribute("aria-label", `Play variation ${output.index} of ${file.name}`);
  setText(part(card, "differences"), differences(output.parameters));
  const link = part(card, "download");
  link.hidden = !output.url;
  if (output.url) link.href = output.url;
  setText(link, `Download (${size(output.size)})`);
  link.setAttribute("aria-label",
    `Download variation ${output.index} of ${file.name} (${size(output.size)})`);
}

// -- actions -----------------------------------------------------------------------------

/**
 * Send an action on a job, then poll the job again. If another job is shown when the response
 * comes, that view is not changed.
 */
async function sendAction(jobId, method, action, onSuccess) {
  if (pendingActions.has(jobId)) return;
  pendingActions.add(jobId);  // not a disabled button: that would lose the focus
  if (isShown(jobId)) {
    setText(byId("job-error"), "");
    poller.stop();
  }
  try {
    await request(method, jobUrl(jobId, action));
    onSuccess();
  } catch (error) {
    if (error.status !== 401 && isShown(jobId)) setText(byId("job-error"), error.message);
    resumePolling(jobId);
  } finally {
    pendingActions.delete(jobId);
  }
}

function onActionDone(jobId, sentence) {
  announce(sentence);
  refreshJobs();
  resumePolling(jobId);
}

function resumePolling(jobId) {
  if (!isShown(jobId)) return;
  getJob = conditionalGet(jobUrl(jobId));  // a response from before the action is ignored
  poller.start();
}

async function cancelJob() {
  const jobId = id;
  const sure = await askToConfirm("Cancel this job?",
    "Finished variations are kept; nothing more will be rendered.", "Cancel job", "Keep running");
  if (sure) {
    await sendAction(jobId, "POST", "/cancel", () => onActionDone(jobId, "The job was cancelled."));
  }
}

async function deleteJob() {
  const jobId = id;
  const sure = await askToConfirm("Delete this job?",
    "Its videos and all variations are removed now. This cannot be undone.", "Delete", "Keep");
  if (sure) await sendAction(jobId, "DELETE", "", () => onDeleted(jobId));
}

function retryJob() {
  const jobId = id;
  return sendAction(jobId, "POST", "/retry",
    () => onActionDone(jobId, "The missing variations were queued again."));
}

function onDeleted(jobId) {
  forgetJob(jobId);
  refreshJobs(jobId);
  if (isShown(jobId)) navigate("");
  announce("The job was deleted.");
}

export function init() {
  compare.init();
  byId("cancel-job").addEventListener("click", cancelJob);
  byId("delete-job").addEventListener("click", deleteJob);
  byId("retry-job").addEventListener("click", retryJob);
}
