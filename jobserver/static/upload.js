// Choosing videos, saying what to make of them, and sending them as one job.

import { apiUrl, ApiError, call } from "./api.js";
import { announce, byId, confirmed, fromTemplate, go, part, renderList, setBar, setText, takeBack }
  from "./dom.js";
import { advised, duration, plural, size } from "./format.js";
import { changedHere } from "./jobs.js";
import { saw, tellBehind } from "./notify.js";
import { Pace, send, sentOfEach } from "./send.js";

const { maxFiles, maxFileSize } = document.documentElement.dataset;
const MAX_FILES = Number(maxFiles);
const MAX_SIZE = Number(maxFileSize);
const REFRESH_MS = 1_000;

/** The chosen videos: {key, file, preview (an address of the browser), sent (bytes)} */
let chosen = [];
let nextKey = 0;
const folders = new WeakSet();  // what was dropped and is no file
/** What is on its way: {abort, gone, total, pace}; null when nothing is. */
let sending = null;
let failedUnseen = false;

export const isSending = () => sending !== null;

// -- choosing -----------------------------------------------------------------

function choose(files) {
  const reasons = [];
  for (const file of files) {
    const reason = refusal(file);
    if (reason) reasons.push([file.name, reason]);
    else add(file);
  }
  showRefused(reasons);
  setText(byId("send-error"), "");
  render();
  if (chosen.length && !sending) announce(`${plural(chosen.length, "video")} chosen`);
}

/** Say why a file would be refused, or null. */
function refusal(file) {
  if (sending) return "was not added; an upload is running.";
  if (folders.has(file)) return "is a folder; drop the videos in it.";
  const nameless = file.type === "" && /\.mp4$/i.test(file.name);
  if (file.type !== "video/mp4" && !nameless) return "is not an MP4 video.";
  if (file.size === 0) return "is empty.";
  if (file.size > MAX_SIZE) return `is ${size(file.size)}; at most ${size(MAX_SIZE)} are accepted.`;
  if (chosen.some((other) => isSame(other.file, file))) return "is already chosen.";
  if (chosen.length >= MAX_FILES) return `is one too many; at most ${MAX_FILES} can be sent at once.`;
  return null;
}

const isSame = (one, other) => one.name === other.name && one.size === other.size &&
  one.lastModified === other.lastModified;

function add(file) {
  nextKey += 1;
  chosen.push({ key: String(nextKey), file, preview: URL.createObjectURL(file), sent: 0 });
}

function remove(video) {
  const place = chosen.indexOf(video);
  URL.revokeObjectURL(video.preview);
  chosen.splice(place, 1);
  render();
  announce(`${video.file.name} removed`);
  const after = chosen[Math.min(place, chosen.length - 1)];
  (after ? part(rowOf(after), "remove") : byId("choose")).focus();
}

export function clear() {
  sending?.abort();
  for (const video of chosen) URL.revokeObjectURL(video.preview);
  chosen = [];
  byId("upload-form").reset();
  for (const name of ["refused", "send-error"]) byId(name).replaceChildren();
  for (const name of FIELDS.keys()) mark(name, true);
  render();
}

function showRefused(reasons) {
  byId("refused").replaceChildren(...reasons.map(([name, reason]) => {
    const line = document.createElement("p");
    const shown = document.createElement("bdi");
    shown.textContent = name;
    line.append(shown, ` ${reason}`);
    return line;
  }));
}

// -- what to make of them -------------------------------------------------------

/** Return the whole number in a field, null when it is none or out of bounds. */
function wholeNumber(text, least, most) {
  const value = /^\d{1,16}$/.test(text.trim()) ? Number(text) : NaN;
  return value >= least && value <= most ? value : null;
}

const variations = () => wholeNumber(byId("variations").value, 1, Number(byId("variations").max));

function seedIsRight() {
  const seed = byId("seed").value.trim();
  return seed === "" || wholeNumber(seed, 0, Number(byId("seed").dataset.max)) !== null;
}

/** Fields that may be wrong: [whether it is right, what it should be]. */
const FIELDS = new Map([
  ["variations", [() => variations() !== null, `Choose 1 to ${byId("variations").max} variations.`]],
  ["seed", [seedIsRight, `A seed is a whole number from 0 to ${byId("seed").dataset.max}.`]],
]);

/** Show what is wrong with the order, take the person there; return whether it is right. */
function checkOrder() {
  for (const name of FIELDS.keys()) check(name);
  const wrong = byId("order").querySelector("[aria-invalid=true]");
  if (wrong?.closest("details")) wrong.closest("details").open = true;
  wrong?.focus();
  return !wrong;
}

const check = (name) => mark(name, FIELDS.get(name)[0]());

function mark(name, isRight) {
  byId(name).setAttribute("aria-invalid", String(!isRight));
  setText(byId(`${name}-error`), isRight ? "" : FIELDS.get(name)[1]);
}

/** What was found wrong is looked at again with each key; what was not is left in peace. */
function checkAgain({ target }) {
  if (target.getAttribute("aria-invalid") === "true") check(target.id);
}

function formData() {
  const form = new FormData();
  form.append("variations", String(variations()));
  form.append("recipe", byId("recipe").value);
  if (byId("seed").value.trim()) form.append("seed", byId("seed").value.trim());
  for (const { file } of chosen) form.append("videos", file);
  return form;
}

// -- sending --------------------------------------------------------------------

async function start(event) {
  event.preventDefault();
  if (sending || !chosen.length || !checkOrder()) return;
  setText(byId("send-error"), "");
  showRefused([]);
  const stopped = begin();
  try {
    // a session that ended costs no upload
    await Promise.race([call("GET", `${apiUrl("jobs")}?limit=1`), stopped]);
    finish(await deliver());
  } catch (error) {
    await explain(error);
  } finally {
    end();
  }
}

/** Return a promise that is broken when the upload is cancelled before anything goes. */
function begin() {
  const total = chosen.reduce((sum, { file }) => sum + file.size, 0);
  const upload = { gone: 0, total, pace: new Pace(), cancelled: false };
  const stopped = new Promise((_, reject) => {
    upload.abort = () => { upload.cancelled = true; reject(new ApiError(null, "Cancelled.")); };
  });
  upload.timer = setInterval(renderSending, REFRESH_MS);
  sending = upload;
  addEventListener("beforeunload", warn);
  render();
  byId("cancel-send").focus();
  announce("Uploading");
  return stopped;
}

async function deliver() {
  const upload = sending;
  const { answer, abort } = send(apiUrl("jobs"), formData(), (gone, total) => {
    Object.assign(upload, { gone, total });
    renderSending();
  });
  upload.abort = () => { upload.cancelled = true; abort(); };
  return answer;
}

function end() {
  clearInterval(sending.timer);
  removeEventListener("beforeunload", warn);
  if (sending.isAskedAbout) takeBack();
  const hadFocus = document.activeElement === byId("cancel-send");
  sending = null;
  for (const video of chosen) video.sent = 0;
  render();
  if (hadFocus) (chosen.length ? byId("send") : byId("choose")).focus();
}

function finish(job) {
  const wasSeen = !byId("home").hidden;
  saw({ ...job, id: job.jobId });
  changedHere();
  sending.abort = () => {};
  clear();
  announce("Uploaded. You may close the page; the job goes on.");
  if (wasSeen) go(`jobs/${job.jobId}`);
}

/** Say in words why it did not go through; what was chosen stays. */
async function explain(error) {
  if (sending.cancelled && !(allIsSent() && chosen.length)) return announce("The upload was cancelled.");
  const sentence = await reason(error);
  setText(byId("send-error"), sentence);
  failedUnseen = byId("home").hidden;
  if (failedUnseen) announce(`The upload failed. ${sentence}`);
  tellBehind(`The upload failed. ${sentence}`, "");
}

async function reason({ status, message, retryAfter }) {
  if (sending.cancelled) return perhapsMade("The upload was cancelled");
  if (status === 401) return "You were signed out before the upload went through. Your videos are still chosen.";
  if (status !== 0 && retryAfter) return advised(message, `Try again in ${duration(retryAfter)}.`);
  if (status !== 0) return message;
  const unreadable = await firstUnreadable();
  return unreadable
    ? `${unreadable.name} can no longer be read; it was moved or changed. Remove it, then choose it again.`
    : lost();
}

const allIsSent = () => sending.gone > 0 && sending.gone === sending.total;
const sentPercent = () => Math.floor((sending.gone / sending.total) * 100);

function lost() {
  if (allIsSent()) return perhapsMade("The connection was lost");
  const share = sending.gone ? ` at ${sentPercent()} %` : "";
  return `The connection to the server was lost${share}. Your videos are still chosen; try again.`;
}

/** Everything has gone and no answer has come: the server may make the job yet. */
function perhapsMade(what) {
  changedHere();
  return `${what} after everything was sent. Look whether the job is in the list before you try again.`;
}

async function firstUnreadable() {
  for (const { file } of chosen) {
    try {
      await file.slice(0, 1).arrayBuffer();
    } catch {
      return file;
    }
  }
  return null;
}

const warn = (event) => event.preventDefault();

/** Ask before something that would end a running upload; true when there is none. */
export async function mayStop() {
  if (!sending) return true;
  const upload = sending;
  upload.isAskedAbout = true;
  const sure = await confirmed("Stop the upload?",
    "An upload is running; it ends when you sign out.", "Stop and sign out", "Go on");
  upload.isAskedAbout = false;
  return sure;
}

/** The form is shown, and with it why an upload failed. */
export function open() {
  failedUnseen = false;
  renderNote();
}

// -- showing ----------------------------------------------------------------------

const rowOf = (video) => byId("chosen").querySelector(`[data-key="${video.key}"]`);

function render() {
  renderList(byId("chosen"), chosen.map((video) => [video.key, video]), newRow, fillRow);
  byId("drop").hidden = sending !== null;
  byId("order").disabled = sending !== null;
  byId("sending").hidden = sending === null;
  byId("send").hidden = sending !== null;
  byId("send").disabled = chosen.length === 0;
  setText(byId("send"), byId("send-error").textContent ? "Try again" : "Start");
  byId("cancel-send").hidden = sending === null;
  renderTotal();
  renderSending();
}

function renderTotal() {
  const each = variations();
  const known = chosen.length > 0 && each !== null && !sending;
  const bytes = chosen.reduce((sum, { file }) => sum + file.size, 0);
  setText(byId("total"), known ? `${plural(chosen.length * each, "variation")} of ` +
    `${plural(chosen.length, "video")}, ${size(bytes)} to send` : "");
}

function newRow(video) {
  const row = fromTemplate("chosen-row");
  const preview = part(row, "preview");
  preview.addEventListener("loadedmetadata", () => {
    preview.currentTime = Math.min(1, preview.duration / 2);  // the first frame is often black
  });
  preview.src = video.preview;
  setText(part(row, "name"), video.file.name);
  part(row, "remove").setAttribute("aria-label", `Remove ${video.file.name}`);
  part(row, "remove").addEventListener("click", () => remove(video));
  return row;
}

function fillRow(row, video) {
  part(row, "remove").hidden = sending !== null;
  const bytes = size(video.file.size);
  setText(part(row, "size"), sending ? `${size(video.sent)} of ${bytes}` : bytes);
  const percent = sending ? Math.floor((video.sent / video.file.size) * 100) : null;
  setBar(part(row, "bar"), percent, `Sent of ${video.file.name}`);
}

/** What every view shows of the upload. */
function renderNote() {
  const note = byId("upload-note");
  note.hidden = !sending && !failedUnseen;
  if (!note.hidden) setText(note, sending ? sendingText() : "Upload failed");
  note.classList.toggle("failed", !sending);
}

const sendingText = () => allIsSent() ? "Finishing…" : `Uploading ${sentPercent()} %`;

function renderSending() {
  renderNote();
  if (!sending) return;
  const { gone, total, pace } = sending;
  pace.note(gone, performance.now());
  setBar(byId("sending-bar"), sentPercent());
  setText(byId("sending-title"), sendingText());
  setText(byId("sending-pace"), paceText());
  const sent = sentOfEach(chosen.map(({ file }) => file.size), gone, total);
  chosen.forEach((video, place) => {
    video.sent = Math.round(sent[place]);
    fillRow(rowOf(video), video);
  });
}

function paceText() {
  const { gone, total, pace } = sending;
  const speed = pace.speed();
  if (allIsSent()) return "Everything is sent; the server is making it safe.";
  if (pace.stalled(performance.now())) return "Nothing moves; waiting for the connection.";
  return speed ? `${size(speed)}/s, ${duration((total - gone) / speed)} left` : "";
}

// -- wiring -----------------------------------------------------------------------

function drag(event) {
  event.preventDefault();  // else a file dropped beside the zone replaces the page
  const over = event.type === "dragover" && !byId("home").hidden && !sending;
  byId("drop").classList.toggle("over", over);
}

function drop(event) {
  drag(event);
  if (!byId("home").hidden) choose(droppedFiles(event.dataTransfer?.items ?? []));
}

/** A folder comes as a file too; only its entry tells. */
function droppedFiles(items) {
  return [...items].filter(({ kind }) => kind === "file").map((item) => {
    const file = item.getAsFile();
    if (item.webkitGetAsEntry()?.isDirectory) folders.add(file);
    return file;
  });
}

function picked() {
  const files = [...byId("files").files];
  byId("files").value = "";  // the same file can be chosen again after its removal
  choose(files);
}

export function init() {
  byId("choose").addEventListener("click", () => byId("files").click());
  byId("files").addEventListener("change", picked);
  byId("variations").addEventListener("input", renderTotal);
  byId("order").addEventListener("input", checkAgain);
  byId("upload-form").addEventListener("submit", start);
  byId("cancel-send").addEventListener("click", () => sending?.abort());
  for (const type of ["dragover", "dragleave"]) addEventListener(type, drag);
  addEventListener("drop", drop);
}
