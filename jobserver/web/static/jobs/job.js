// The view of one job: status and progress, and its videos with their variations. What can be done with it:
// job_actions.js; a job with a brief: sources.js and results.js.

import { apiUrl, conditionalGet, isGone, serverNow } from "../shared/api.js";
import { showConnectionStatus } from "../shared/connection.js";
import { byId, cloneTemplate, part, renderList, setMedia, setProgress, setShape, setState, setText }
  from "../shared/dom.js";
import {
  ago, allCompleted, clock, credentials, deletion, duration, expiry, jobName, jobState, plural, recipe,
  resultSummary, size,
}
  from "../shared/format.js";
import { forgetJob, hasEnded, recordStatus, setTitle } from "../shared/notifications.js";
import { Poller } from "../shared/poll.js";
import { expectedZipBytes } from "../shared/zip_size.js";
import * as compare from "./compare.js";
import * as differences from "./differences.js";
import * as actions from "./job_actions.js";
import { fillCard, newCard } from "./output_card.js";
import * as results from "./results.js";
import * as selection from "./selection.js";
import * as sources from "./sources.js";

const TIMES_REFRESH_MS = 30_000;

let id = null;
let job = null;
let getJob = null;
let timesTimer = null;

const poller = new Poller(poll, onPollResult);

const jobUrl = (jobId) => apiUrl(`jobs/${jobId}`);
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
  for (const list of ["job-files", "job-sources"]) byId(list).replaceChildren();
  results.clear();
  differences.clear();
  selection.clear();
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
  const { name, more } = jobName(job);
  setText(byId("job-title"), name + more);
  setTitle(`${name}${more} · jobserver`);
  setState(byId("job-state"), ...jobState(job));
  byId("job-body").hidden = false;
  renderFacts();
  renderProgress();
  actions.render(job, allOutputs());
  renderOutputs();
}

function renderOutputs() {
  byId("job-parts").hidden = !job.brief;
  differences.render(job);
  if (job.brief) {
    sources.render(job);
    results.render(job);
  } else {
    renderList(byId("job-files"), job.files.map((file) => [file.id, file]), newFile, fillFile);
  }
  selection.render(job, allOutputs());
}

function renderFacts() {
  const now = serverNow();
  const facts = [
    ...job.brief ? briefFacts() : variationFacts(),
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

function variationFacts() {
  const each = plural(job.variationsPerVideo, "variation") + (job.totalVideos > 1 ? " of each" : "");
  return [`${plural(job.totalVideos, "video")}, ${each}`, `${recipe(job.recipe)}, seed ${job.seed}`];
}

function briefFacts() {
  const made = job.completedVariations === job.totalVariations ? "" : `${job.completedVariations} of `;
  return [`${made}${plural(job.totalVariations, "video")}`, `from ${plural(job.totalVideos, "main clip")}`];
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

// -- a job without a brief: each video with its variations -------------------------------

const newFile = () => cloneTemplate("file-block");

function fillFile(block, file) {
  setShape(block, file);
  setMedia(part(block, "thumbnail"), file.thumbnailUrl);
  setText(part(block, "name"), file.name);
  setText(part(block, "facts"), fileFacts(file));
  setText(part(block, "credentials"), credentials(file));
  setText(part(block, "error"), file.error ?? "");
  part(block, "error").hidden = !file.error;
  setState(part(block, "state"), file.status);
  const percent = file.status === "processing" ? file.progress : null;
  setProgress(part(block, "progress"), percent, `Progress of ${file.name}`);
  const items = file.outputs.filter(differences.matches).map((output) => [output.id, { file, output, axes: null }]);
  renderList(part(block, "outputs"), items, (item) => newCard(item, (id) => play(file.id, id)), fillCard,
    byId("job-title"));
}

/** Compare an output with its source, and with the others of the same video. */
function play(fileId, outputId) {
  const file = job.files.find((each) => each.id === fileId);
  compare.open(file.outputs.filter(differences.matches).map((output) => ({ file, output })), outputId);
}

function fileFacts(file) {
  const facts = [size(file.size)];
  if (file.duration) facts.push(clock(file.duration));
  if (file.width) facts.push(`${file.width} × ${file.height}`);
  facts.push(`${file.completedVariations} of ${plural(job.variationsPerVideo, "variation")}`);
  if (job.totalVideos > 1) facts.push(`seed ${file.seed}`);
  return facts.join(" · ");
}

// -- actions -----------------------------------------------------------------------------

function resume(jobId) {
  if (!isShown(jobId)) return;
  getJob = conditionalGet(jobUrl(jobId));  // a response from before the action is ignored
  poller.start();
}

/** makeAgain: called with a job whose files shall be used for another one */
export function init(makeAgain) {
  compare.init();
  actions.init({ id: () => id, isShown, pause: () => poller.stop(), resume, makeAgain: () => makeAgain(job) });
  results.init();
  differences.init(() => job && renderOutputs());
  selection.init(() => job && renderOutputs());
}
