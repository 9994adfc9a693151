// The videos chosen for the next upload: checks before the upload, and a list with a preview and
// the upload progress of each.

import { announce, byId, cloneTemplate, part, renderList, setProgress, setText } from "../shared/dom.js";
import { plural, size } from "../shared/format.js";
import * as filePicker from "./file_picker.js";
import { contentProblem } from "./footage.js";

const { maxFiles, maxFileSize } = document.documentElement.dataset;
const MAX_FILES = Number(maxFiles);
const MAX_FILE_SIZE = Number(maxFileSize);

/** The chosen videos: {key, file, previewUrl (blob:), uploaded (bytes)} */
let videos = [];
let nextKey = 0;
let isUploading = false;  // the list shows progress and cannot be changed
let checks = Promise.resolve();  // the end of every check so far: one choice after the other
let runningChecks = 0;

let onChoose = () => {};
let onRemove = () => {};

export const files = () => videos.map(({ file }) => file);

// -- choosing and checking ---------------------------------------------------------

function choose(newFiles) {
  markChecks(1);
  checks = checks.then(() => checkAndAdd(newFiles)).finally(() => markChecks(-1));
}

function markChecks(change) {
  runningChecks += change;
  byId("drop-zone").ariaBusy = String(runningChecks > 0);
}

async function checkAndAdd(newFiles) {
  const problems = await Promise.all(newFiles.map(fileProblem));
  const rejections = [];
  newFiles.forEach((file, position) => {
    const reason = problems[position] ?? additionProblem(file);
    if (reason) rejections.push([file.name, reason]);
    else add(file);
  });
  showRejected(rejections);
  render();
  onChoose();
  if (videos.length && !isUploading) announce(`${plural(videos.length, "video")} chosen`);
}

/** Resolve to why the server would reject a file, or to null. */
async function fileProblem(file) {
  if (filePicker.isFolder(file)) return "is a folder; drop the videos inside it.";
  if (file.size === 0) return "is empty.";
  const problem = await contentProblem(file);
  if (problem) return problem;
  if (file.size > MAX_FILE_SIZE) return `is ${size(file.size)}; at most ${size(MAX_FILE_SIZE)} are accepted.`;
  return null;
}

/** Return why a file cannot be added to those that are chosen, or null. */
function additionProblem(file) {
  if (isUploading) return "was not added; an upload is running.";
  if (videos.some((video) => isSameFile(video.file, file))) return "is already chosen.";
  if (videos.length >= MAX_FILES) return `was not added; at most ${MAX_FILES} videos can be uploaded at once.`;
  return null;
}

const isSameFile = (one, other) => one.name === other.name && one.size === other.size &&
  one.lastModified === other.lastModified;

function add(file) {
  nextKey += 1;
  videos.push({ key: String(nextKey), file, previewUrl: URL.createObjectURL(file), uploaded: 0 });
}

function remove(video) {
  const position = videos.indexOf(video);
  URL.revokeObjectURL(video.previewUrl);
  videos.splice(position, 1);
  render();
  onRemove();
  announce(`${video.file.name} removed`);
  const neighbour = videos[Math.min(position, videos.length - 1)];
  (neighbour ? part(rowOf(neighbour), "remove") : byId("choose")).focus();
}

export function clear() {
  for (const video of videos) URL.revokeObjectURL(video.previewUrl);
  videos = [];
  clearRejected();
  render();
}

function showRejected(rejections) {
  byId("rejected").replaceChildren(...rejections.map(([name, reason]) => {
    const line = document.createElement("p");
    const bdi = document.createElement("bdi");
    bdi.textContent = name;
    line.append(bdi, ` ${reason}`);
    return line;
  }));
}

export const clearRejected = () => showRejected([]);

/** Return the first chosen file that was moved, deleted or changed since, or null. */
export async function firstUnreadable() {
  for (const file of files()) {
    try {
      await file.slice(0, 1).arrayBuffer();
    } catch {
      return file;
    }
  }
  return null;
}

// -- the list ------------------------------------------------------------------------

const rowOf = (video) => byId("chosen").querySelector(`[data-key="${video.key}"]`);

function render() {
  renderList(byId("chosen"), videos.map((video) => [video.key, video]), newRow, fillRow);
  byId("drop-zone").hidden = isUploading;
}

function newRow(video) {
  const row = cloneTemplate("chosen-row");
  const preview = part(row, "preview");
  preview.addEventListener("loadedmetadata", () => {
    preview.currentTime = Math.min(1, preview.duration / 2);  // the first frame is often black
  });
  preview.src = video.previewUrl;
  setText(part(row, "name"), video.file.name);
  part(row, "remove").setAttribute("aria-label", `Remove ${video.file.name}`);
  part(row, "remove").addEventListener("click", () => remove(video));
  return row;
}

function fillRow(row, video) {
  part(row, "remove").hidden = isUploading;
  const bytes = size(video.file.size);
  setText(part(row, "size"), isUploading ? `${size(video.uploaded)} of ${bytes}` : bytes);
  const percent = isUploading ? Math.floor((video.uploaded / video.file.size) * 100) : null;
  setProgress(part(row, "progress"), percent, `Upload progress of ${video.file.name}`);
}

/** Switch between a list that can be changed and one that shows upload progress. */
export function setUploading(uploading) {
  isUploading = uploading;
  for (const video of videos) video.uploaded = 0;
  render();
}

/** uploadedBytes: of each file, as in files(). */
export function showProgress(uploadedBytes) {
  videos.forEach((video, position) => {
    video.uploaded = Math.round(uploadedBytes[position]);
    fillRow(rowOf(video), video);
  });
}

/** callbacks: onChoose is called after files were chosen or rejected, onRemove after a removal. */
export function init(callbacks) {
  ({ onChoose, onRemove } = callbacks);
  filePicker.init(choose, () => !byId("home").hidden && !isUploading);
}
