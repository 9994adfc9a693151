// One job: how far it is, what came out of it, and what can be done with it.

import { apiUrl, call, conditional, isGone, serverNow } from "./api.js";
import * as player from "./compare.js";
import { announce, byId, confirmed, fromTemplate, go, part, renderList, setBar, setMedia,
  setState, setText } from "./dom.js";
import { ago, clock, differences, duration, expiry, isWhole, jobName, outcome, plural, size, stateOf }
  from "./format.js";
import { forgetJob, isOver, saw, setTitle } from "./notify.js";
import { changedHere } from "./jobs.js";
import { Poller } from "./poll.js";
import { showTrouble } from "./trouble.js";

const CLOCK_MS = 30_000;

let id = null;
let job = null;
let ask = null;
let clockTimer = null;
const acting = new Set();  // ids of jobs to which something is being done

const poller = new Poller(askOnce, trouble);

const jobUrl = (jobId, rest = "") => apiUrl(`jobs/${jobId}${rest}`);
const isShown = (jobId) => jobId === id && !byId("job").hidden;

/** Show the job of this id and keep it up to date until close(). */
export function open(jobId) {
  id = jobId;
  begin();
  ask = conditional(jobUrl(id));
  poller.start();
  clockTimer = setInterval(() => document.hidden || (job && renderFacts()), CLOCK_MS);
}

export function close() {
  poller.stop();
  clearInterval(clockTimer);
  player.close();
}

async function askOnce() {
  const asked = ask;
  const { data, changed } = await asked();
  if (changed && asked === ask) {  // else another job is shown by now
    job = data;
    saw({ ...job, id });
    render();
  }
  return { changed, active: !isOver(data.status) };
}

function trouble(error) {
  if (!isGone(error)) return showTrouble(error);
  forgetJob(id);
  gone();
  return false;
}

/** Before the first answer nothing of an earlier job may be seen. */
function begin() {
  job = null;
  byId("job-body").hidden = true;
  byId("job-files").replaceChildren();
  for (const name of ["job-facts", "job-error"]) setText(byId(name), "");
  setText(byId("job-title"), "Job");
  setState(byId("job-state"), "");
}

function gone() {
  begin();
  player.close();
  setText(byId("job-title"), "This job is not here");
  setText(byId("job-facts"), "It has expired, was deleted, or never was.");
  setTitle("No such job · jobserver");
  byId("job-title").focus();
}

function render() {
  const { name, more } = jobName(job.files);
  setText(byId("job-title"), name + more);
  setTitle(`${name}${more} · jobserver`);
  setState(byId("job-state"), ...stateOf(job));
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
  if (isOver(job.status) && !isWhole(job)) facts.unshift(outcome(job));
  if (isOver(job.status)) facts.push(expiry(Date.parse(job.expiresAt), now));
  setText(byId("job-facts"), facts.join(" · "));
}

function renderProgress() {
  const over = isOver(job.status);
  byId("job-progress").hidden = over;
  if (over) return;
  setBar(byId("job-bar"), job.progress);
  setText(byId("job-eta"), outlook());
}

function outlook() {
  const left = job.etaSeconds === null ? "" : `about ${duration(job.etaSeconds)} left`;
  const ahead = (job.queuePosition ?? 1) - 1;
  const place = job.status !== "queued" ? `${job.progress} % done`
    : ahead ? `Waiting; ${plural(ahead, "job")} ahead of it` : "Waiting; it is next";
  return left ? `${place}, ${left}` : place;
}

const allOutputs = () => job.files.flatMap((file) => file.outputs);
const hasFileIn = (...states) => job.files.some((file) => states.includes(file.status));

function renderActions() {
  const outputs = allOutputs();
  const download = byId("download");
  download.hidden = !outputs.length || !job.downloadUrl;
  if (!download.hidden) download.href = job.downloadUrl;
  const bytes = outputs.reduce((sum, output) => sum + output.size, 0);
  const what = isOver(job.status) ? "all" : "what is ready";
  setText(download, `Download ${what} as ZIP (${size(bytes)})`);
  showAction("cancel-job", !isOver(job.status));
  showAction("retry-job", hasFileIn("failed", "cancelled"));
  const lost = !hasFileIn("cancelled") ? "what failed"
    : hasFileIn("failed") ? "the rest" : "what was cancelled";
  setText(byId("retry-job"), `Retry ${lost}`);
  showAction("delete-job", true);
}

/** Whoever presses a button that then goes is taken to the heading, not to the start. */
function showAction(name, wanted) {
  const button = byId(name);
  const hadFocus = document.activeElement === button;
  button.hidden = !wanted;
  if (!wanted && hadFocus) byId("job-title").focus();
}

const newFile = () => fromTemplate("file-block");

function fillFile(block, file) {
  setMedia(part(block, "thumb"), file.thumbnailUrl);
  setText(part(block, "name"), file.name);
  setText(part(block, "facts"), fileFacts(file));
  setText(part(block, "error"), file.error ?? "");
  part(block, "error").hidden = !file.error;
  setState(part(block, "state"), file.status);
  const bar = file.status === "processing" ? file.progress : null;
  setBar(part(block, "bar"), bar, `Progress of ${file.name}`);
  renderList(part(block, "outputs"), file.outputs.map((output) => [output.id, { file, output }]),
    newOutput, fillOutput, byId("job-title"));
}

function fileFacts(file) {
  const facts = [size(file.size)];
  if (file.duration) facts.push(clock(file.duration));
  if (file.width) facts.push(`${file.width} × ${file.height}`);
  facts.push(`${file.completedVariations} of ${plural(job.variationsPerVideo, "variation")}`);
  return facts.join(" · ");
}

function newOutput({ file, output }) {
  const card = fromTemplate("output-card");
  const fileId = file.id;
  part(card, "play").addEventListener("click", () => {
    player.compare(job.files.find((each) => each.id === fileId), output.id);
  });
  return card;
}

function fillOutput(card, { file, output }) {
  setMedia(part(card, "thumb"), output.thumbnailUrl);
  setText(part(card, "title"), `Variation ${output.index}`);
  part(card, "play").setAttribute("aria-label", `Play variation ${output.index} of ${file.name}`);
  setText(part(card, "how"), differences(output.parameters));
  const link = part(card, "download");
  link.hidden = !output.url;
  if (output.url) link.href = output.url;
  setText(link, `Download (${size(output.size)})`);
  link.setAttribute("aria-label",
    `Download variation ${output.index} of ${file.name} (${size(output.size)})`);
}

/**
 * Do something to a job, say the outcome, and go on asking from there. By the time of the answer
 * another job may be shown; that one is left alone.
 */
async function act(jobId, method, rest, then) {
  if (acting.has(jobId)) return;
  acting.add(jobId);  // not a disabled button: that would lose the focus
  if (isShown(jobId)) {
    setText(byId("job-error"), "");
    poller.stop();
  }
  try {
    await call(method, jobUrl(jobId, rest));
    then();
  } catch (error) {
    if (error.status !== 401 && isShown(jobId)) setText(byId("job-error"), error.message);
    goOn(jobId);
  } finally {
    acting.delete(jobId);
  }
}

function done(jobId, sentence) {
  announce(sentence);
  changedHere();
  goOn(jobId);
}

function goOn(jobId) {
  if (!isShown(jobId)) return;
  ask = conditional(jobUrl(jobId));  // an answer that is still on its way tells of before
  poller.start();
}

async function cancel() {
  const asked = id;
  const sure = await confirmed("Cancel this job?",
    "Variations that are ready stay; nothing more will be rendered.", "Cancel job", "Go on");
  if (sure) await act(asked, "POST", "/cancel", () => done(asked, "The job was cancelled."));
}

async function remove() {
  const asked = id;
  const sure = await confirmed("Delete this job?",
    "Its videos and all variations are removed now. This cannot be undone.", "Delete", "Keep");
  if (sure) await act(asked, "DELETE", "", () => removed(asked));
}

function retry() {
  const asked = id;
  return act(asked, "POST", "/retry", () => done(asked, "What is missing was queued again."));
}

function removed(jobId) {
  forgetJob(jobId);
  changedHere(jobId);
  if (isShown(jobId)) go("");
  announce("The job was deleted.");
}

export function init() {
  player.init();
  byId("cancel-job").addEventListener("click", cancel);
  byId("delete-job").addEventListener("click", remove);
  byId("retry-job").addEventListener("click", retry);
}
