// What a visitor can do with a whole job: download, cancel (from the list too), retry, delete.

import { apiUrl, request } from "../shared/api.js";
import { announce, askToConfirm, byId, navigate, setText } from "../shared/dom.js";
import { size } from "../shared/format.js";
import { forgetJob, hasEnded } from "../shared/notifications.js";
import { refreshJobs } from "./list.js";

const pendingActions = new Set();  // ids of jobs with an action whose response is awaited
let view = null;  // see init()

// -- buttons -----------------------------------------------------------------------------

/** Show the actions that make sense for a job. */
export function render(job, outputs) {
  renderDownload(job, outputs);
  const hasFileIn = (...states) => job.files.some((file) => states.includes(file.status));
  const hasFailed = hasFileIn("failed") || job.files.some((file) => file.failedVariations > 0);
  showAction("cancel-job", !hasEnded(job.status));
  showAction("retry-job", hasFailed || hasFileIn("cancelled"));
  const missing = !hasFileIn("cancelled") ? "what failed" : hasFailed ? "the rest" : "what was cancelled";
  setText(byId("retry-job"), `Retry ${missing}`);
  showAction("again-job", hasEnded(job.status));
  showAction("delete-job", true);
}

function renderDownload({ status, downloadUrl }, outputs) {
  const download = byId("download");
  download.hidden = !outputs.length || !downloadUrl;
  if (!download.hidden) download.href = downloadUrl;
  const bytes = outputs.reduce((sum, output) => sum + output.size, 0);
  const contents = hasEnded(status) ? "all" : "what is ready";
  setText(download, `Download ${contents} as ZIP (${size(bytes)})`);
}

/** Show or hide a button; a hidden button with the focus passes it to the heading. */
function showAction(name, visible) {
  const button = byId(name);
  const hadFocus = document.activeElement === button;
  button.hidden = !visible;
  if (!visible && hadFocus) byId("job-title").focus();
}

// -- requests ----------------------------------------------------------------------------

/**
 * Send an action on a job, then poll the job again. If another job is shown when the response
 * comes, that view is not changed. errorPlace: id of the element that shows an error.
 */
async function sendAction(jobId, method, action, onSuccess, errorPlace = "job-error") {
  if (pendingActions.has(jobId)) return;
  pendingActions.add(jobId);  // not a disabled button: that would lose the focus
  setText(byId("jobs-error"), "");
  if (view.isShown(jobId)) {
    setText(byId("job-error"), "");
    view.pause();
  }
  try {
    await request(method, apiUrl(`jobs/${jobId}${action}`));
    onSuccess();
  } catch (error) {
    const isVisible = errorPlace === "jobs-error" || view.isShown(jobId);
    if (error.status !== 401 && isVisible) setText(byId(errorPlace), error.message);
    view.resume(jobId);
  } finally {
    pendingActions.delete(jobId);
  }
}

function onActionDone(jobId, sentence) {
  announce(sentence);
  refreshJobs();
  view.resume(jobId);
}

function cancelFromList({ target }) {
  const button = target.closest('[data-part="cancel"]');
  if (button) cancelJob(button.closest("li").dataset.key, "jobs-error");
}

async function cancelJob(jobId, errorPlace) {
  const sure = await askToConfirm("Cancel this job?",
    "Finished variations are kept; nothing more will be rendered.", "Cancel job", "Keep running");
  if (sure) {
    const onSuccess = () => onActionDone(jobId, "The job was cancelled.");
    await sendAction(jobId, "POST", "/cancel", onSuccess, errorPlace);
  }
}

async function deleteJob() {
  const jobId = view.id();
  const sure = await askToConfirm("Delete this job?",
    "Its videos and all variations are removed now. This cannot be undone.", "Delete", "Keep");
  if (sure) await sendAction(jobId, "DELETE", "", () => onDeleted(jobId));
}

function retryJob() {
  const jobId = view.id();
  return sendAction(jobId, "POST", "/retry",
    () => onActionDone(jobId, "The missing variations were queued again."));
}

function onDeleted(jobId) {
  forgetJob(jobId);
  refreshJobs(jobId);
  if (view.isShown(jobId)) navigate("");
  announce("The job was deleted.");
}

/**
 * jobView: {id(): of the job that is shown, isShown(id), pause(): of polling, resume(id): which ignores
 * responses from before, makeAgain()}
 */
export function init(jobView) {
  view = jobView;
  byId("cancel-job").addEventListener("click", () => cancelJob(view.id()));
  byId("jobs").addEventListener("click", cancelFromList);
  byId("delete-job").addEventListener("click", deleteJob);
  byId("retry-job").addEventListener("click", retryJob);
  byId("again-job").addEventListener("click", () => view.makeAgain());
}
