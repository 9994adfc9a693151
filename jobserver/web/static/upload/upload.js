// The upload form: uploads the chosen videos as one job, shows the progress, and says what to do
// when the upload fails.

import * as brief from "../brief/brief.js";
import { totalVideos } from "../brief/plan.js";
import { refreshJobs } from "../jobs/list.js";
import { apiUrl, request } from "../shared/api.js";
import { announce, askToConfirm, byId, dismissConfirm, navigate, setProgress, setText }
  from "../shared/dom.js";
import { duration, plural, size, withAdvice } from "../shared/format.js";
import { notifyInBackground, recordStatus } from "../shared/notifications.js";
import { zipLimit } from "../shared/zip_size.js";
import * as again from "./again.js";
import * as chosenFiles from "./chosen_files.js";
import { declaredAs } from "./file_kinds.js";
import * as jobOptions from "./job_options.js";
import { ROLES } from "./roles.js";
import * as tus from "./tus.js";
import { SpeedMeter, uploadedPerFile } from "./upload_progress.js";
import { cancelledError, postJob } from "./upload_request.js";

const PROGRESS_INTERVAL_MS = 1_000;
const ENDED_UPLOAD = [404, 409, 410];  // an upload has expired, or is used

/** The running upload: {abort, loaded, total (bytes), speed, ...}; null when there is none. */
let upload = null;
let hasUnseenFailure = false;

// -- uploading ---------------------------------------------------------------------

async function start(event) {
  event.preventDefault();
  if (upload || !hasMainClip() || !jobOptions.validate()) return;
  setText(byId("upload-error"), "");
  chosenFiles.clearRejected();
  const cancelled = begin();
  let failure = null;
  try {
    // find out before the upload, not at its end, whether session and brief are valid
    const check = brief.isOn() ? brief.check() : request("GET", `${apiUrl("jobs")}?limit=1`);
    await Promise.race([check, cancelled]);
    onUploaded(await (again.isAgain() ? again.post() : postFiles()));
  } catch (error) {
    failure = error;
    await showFailure(error);
  } finally {
    end();
  }
  if (failure) brief.showError(failure);  // only now can its field have the focus
}

const hasMainClip = () => chosenFiles.ofRole("video").length > 0;
const totalSize = () => chosenFiles.used().reduce((sum, { file }) => sum + (file?.size ?? 0), 0);

/** Return a promise that rejects if the upload is cancelled before the request is made. */
function begin() {
  const started = { loaded: 0, total: totalSize(), speed: new SpeedMeter(), cancelled: false };
  const cancelled = new Promise((_, reject) => {
    started.abort = () => { started.cancelled = true; reject(cancelledError()); };
  });
  started.timer = setInterval(renderProgress, PROGRESS_INTERVAL_MS);
  upload = started;
  addEventListener("beforeunload", warnBeforeUnload);
  chosenFiles.setUploading(true);
  render();
  byId("cancel-upload").focus();
  announce("Uploading");
  return cancelled;
}

/** Upload the files with tus, or in one form where a server or proxy does not let that through. */
async function postFiles() {
  try {
    return await postUploads(upload);
  } catch (error) {
    if (!(error instanceof tus.TusUnsupported)) throw error;
  }
  return postInForm(upload);
}

async function postUploads(current) {
  const sources = chosenFiles.used().map(({ role, ...source }) => ({ ...source, field: ROLES[role].field }));
  current.isPosted = false;
  const job = { ...jobOptions.values(), ...await uploadAll(current, sources) };
  if (brief.isOn()) job.brief = brief.read();
  current.isPosted = true;
  const cancelled = new Promise((_, reject) => {
    current.abort = () => { current.cancelled = true; reject(cancelledError()); };
  });
  try {
    return await Promise.race([postJob(apiUrl("jobs"), JSON.stringify(job)).response, cancelled]);
  } catch (error) {
    if (!ENDED_UPLOAD.includes(error.status)) sources.length = 0;  // they can be used yet
    throw error;
  } finally {
    tus.forget(sources);
  }
}

/** Upload one file after the other; resolve to the ids of the uploads by field. */
async function uploadAll(current, sources) {
  const controller = new AbortController();
  current.abort = () => { current.cancelled = true; controller.abort(); };
  const ids = {};
  let before = 0;
  for (const source of sources) {
    const onProgress = (loaded) => {
      current.loaded = before + loaded;
      renderProgress();
    };
    const id = await tus.uploadFile(apiUrl("uploads"), source, onProgress, controller.signal);
    before += source.file.size;
    (ids[source.field] ??= []).push(id);
  }
  return ids;
}

async function postInForm(current) {
  delete current.isPosted;
  const { response, abort } = postJob(apiUrl("jobs"), formData(), (loaded, total) => {
    Object.assign(current, { loaded, total });
    renderProgress();
  });
  current.abort = () => { current.cancelled = true; abort(); };
  return response;
}

function formData() {
  const form = new FormData();
  for (const [name, value] of Object.entries(jobOptions.values())) form.append(name, value);
  if (brief.isOn()) form.append("brief", JSON.stringify(brief.read()));
  for (const { role, file, type, name } of chosenFiles.used()) {
    form.append(ROLES[role].field, declaredAs(file, type), name);
  }
  return form;
}

function onUploaded(job) {
  const isFormShown = !byId("home").hidden;
  recordStatus({ ...job, id: job.jobId });
  refreshJobs();
  upload.abort = () => {};
  reset();
  announce("Uploaded. You can close the page; the job continues.");
  if (isFormShown) navigate(`jobs/${job.jobId}`);
}

function end() {
  clearInterval(upload.timer);
  removeEventListener("beforeunload", warnBeforeUnload);
  if (upload.isConfirmingStop) dismissConfirm();
  const hadFocus = document.activeElement === byId("cancel-upload");
  upload = null;
  chosenFiles.setUploading(false);
  render();
  if (hadFocus) byId(hasMainClip() ? "start-upload" : "choose").focus();
}

/** Clear the form and cancel a running upload. */
export function reset() {
  upload?.abort();
  again.end();
  chosenFiles.clear();
  byId("upload-form").reset();
  setText(byId("upload-error"), "");
  brief.reset();
  jobOptions.reset();
  render();
}

const warnBeforeUnload = (event) => event.preventDefault();

/** Ask before an action that would stop a running upload; resolve to true when it may stop. */
export async function confirmStop() {
  if (!upload) return true;
  const current = upload;
  current.isConfirmingStop = true;
  const sure = await askToConfirm("Stop the upload?",
    "An upload is running. Signing out stops it.", "Stop and sign out", "Keep uploading");
  current.isConfirmingStop = false;
  return sure;
}

// -- failures ------------------------------------------------------------------------

/** Show why the upload failed; the chosen videos stay, so that it can be tried again. */
async function showFailure(error) {
  if (upload.cancelled && !(mayHaveArrived() && hasMainClip())) return announce("The upload was cancelled.");
  const sentence = await failureText(error);
  setText(byId("upload-error"), sentence);
  hasUnseenFailure = byId("home").hidden;
  if (hasUnseenFailure) announce(`The upload failed. ${sentence}`);
  notifyInBackground(`The upload failed. ${sentence}`, "");
}

async function failureText({ status, message, retryAfter }) {
  if (upload.cancelled) return uncertainText("The upload was cancelled");
  if (status === 401) return "You were signed out before the upload finished. Your videos are still chosen.";
  if (status !== 0 && retryAfter) return withAdvice(message, `Try again in ${duration(retryAfter)}.`);
  if (status !== 0) return message;
  const unreadable = await chosenFiles.firstUnreadable();
  return unreadable
    ? `${unreadable.name} can no longer be read; it was moved or changed. Remove it, then choose it again.`
    : connectionLostText();
}

function connectionLostText() {
  if (mayHaveArrived()) return uncertainText("The connection was lost");
  const progress = upload.loaded ? ` at ${uploadedPercent()} %` : "";
  return `The connection to the server was lost${progress}. Your videos are still chosen; try again.`;
}

/** Without a response to a complete request, the server may still create the job. */
function uncertainText(what) {
  refreshJobs();
  return `${what} after everything was uploaded. Check whether the job is in the list before you try again.`;
}

// -- rendering -------------------------------------------------------------------------

const isAllUploaded = () => upload.loaded > 0 && upload.loaded === upload.total;
const mayHaveArrived = () => upload.isPosted ?? isAllUploaded();
const uploadedPercent = () => Math.floor((upload.loaded / upload.total) * 100) || 0;

function render() {
  const isUploading = upload !== null;
  jobOptions.setDisabled(isUploading);
  brief.setDisabled(isUploading);
  byId("upload-progress").hidden = !isUploading;
  byId("start-upload").hidden = isUploading;
  byId("start-upload").disabled = !hasMainClip();
  setText(byId("start-upload"), byId("upload-error").textContent ? "Try again" : "Start");
  byId("cancel-upload").hidden = !isUploading;
  renderTotal();
  renderProgress();
}

function renderTotal() {
  const isShown = hasMainClip() && !upload;
  setText(byId("upload-total"), isShown ? brief.isOn() ? totalOfBrief() : totalOfVariations() : "");
}

const toUploadText = () => again.isAgain() ? "nothing to upload" : `${size(totalSize())} to upload`;

function totalOfBrief() {
  const toUpload = toUploadText();
  return totalVideos() === null ? toUpload : `${plural(totalVideos(), "video")}, ${toUpload}`;
}

function totalOfVariations() {
  const videos = chosenFiles.used().length;
  const variations = jobOptions.variations();
  if (variations === null) return "";
  const text = `${plural(videos * variations, "variation")} of ${plural(videos, "video")}, ${toUploadText()}`;
  const bytes = chosenFiles.used().reduce((sum, { size: each }) => sum + each, 0);
  const limit = zipLimit(bytes, variations);
  return limit ? `${text}, ${limit}` : text;
}

function renderProgress() {
  renderNote();
  if (!upload) return;
  const { loaded, total, speed } = upload;
  speed.record(loaded, performance.now());
  setProgress(byId("upload-progress-bar"), uploadedPercent());
  setText(byId("upload-progress-title"), progressText());
  setText(byId("upload-speed"), speedText());
  const sizes = chosenFiles.used().map(({ size }) => size);
  if (!again.isAgain()) chosenFiles.showProgress(uploadedPerFile(sizes, loaded, total));
}

const progressText = () => again.isAgain() ? "Starting…" : isAllUploaded() ? "Finishing…" : `Uploading ${uploadedPercent()} %`;

function speedText() {
  const { loaded, total, speed } = upload;
  const bytesPerSecond = speed.bytesPerSecond();
  if (isAllUploaded()) return "Everything is uploaded; the server is saving it.";
  if (speed.isStalled(performance.now())) return "No progress; waiting for the connection.";
  if (!bytesPerSecond) return "";
  return `${size(bytesPerSecond)}/s, ${duration((total - loaded) / bytesPerSecond)} left`;
}

/** The note in the page's header, which every view shows. */
function renderNote() {
  const note = byId("upload-note");
  note.hidden = !upload && !hasUnseenFailure;
  if (!note.hidden) setText(note, upload ? progressText() : "Upload failed");
  note.classList.toggle("failed", !upload);
}

/** Called when the form is shown, and with it the reason of a failure. */
export function open() {
  hasUnseenFailure = false;
  renderNote();
}

/** Go to the form with the files of a job, to make it again with other options. */
export async function makeAgain(job) {
  if (upload) return announce("An upload is running.");
  reset();
  again.begin(job);
  render();
  navigate("");
}

/** New files make the last failure obsolete. */
function onChoose(needBrief) {
  setText(byId("upload-error"), "");
  if (needBrief) brief.setOn(true);
  onChange();
}

function onChange() {
  brief.update();
  render();
}

export function init() {
  chosenFiles.init({ onChoose, onChange, onPicture: brief.update });
  jobOptions.init();
  brief.init(renderTotal);
  byId("upload-form").addEventListener("submit", start);
  byId("again-end").addEventListener("click", () => { reset(); byId("choose").focus(); });
  byId("cancel-upload").addEventListener("click", () => upload?.abort());
}
