// The files chosen for the next job: checks before the upload, and the list of them with preview,
// role and upload progress.

import { announce, byId, part, renderList } from "../shared/dom.js";
import { plural, size } from "../shared/format.js";
import { fillRow, newRow, showUploaded } from "./chosen_row.js";
import { identify } from "./file_kinds.js";
import * as filePicker from "./file_picker.js";
import { byRole, defaultRole, ROLES, rolesOf } from "./roles.js";

const { maxFiles, maxFileSize, maxAssetSizes } = document.documentElement.dataset;
const MAX_SIZES = { clip: Number(maxFileSize), ...JSON.parse(maxAssetSizes) };

/**
 * By role: {key, name, size, kind, type, role, file, url, uploaded (bytes), duration (seconds, null
 * while unknown)}. file: null where the server has it already, with width and height; url: of the preview.
 */
let entries = [];
let nextKey = 0;
let isUploading = false;  // the list shows progress and cannot be changed
let hasBrief = false;  // without one only main clips are used
let checks = Promise.resolve();  // the end of every check so far: one choice after the other
let runningChecks = 0;
let callbacks = {};  // see init()

const isUsed = ({ role }) => hasBrief || role === "video";

/** The files of the job, in the sequence of the upload. */
export const used = () => entries.filter(isUsed);

export const ofRole = (role) => used().filter((entry) => entry.role === role);

// -- choosing and checking ---------------------------------------------------------

/** role: what the files shall be, null to have their kind decide. */
function choose(files, role = null) {
  markChecks(1);
  checks = checks.then(() => checkAndAdd(files, role)).finally(() => markChecks(-1));
}

function markChecks(change) {
  runningChecks += change;
  byId("drop-zone").ariaBusy = String(runningChecks > 0);
}

async function checkAndAdd(files, role) {
  const identified = await Promise.all(files.map(identifyFile));
  const rejections = [];
  files.forEach((file, position) => {
    const found = { ...identified[position], file, role: role ?? defaultRole(identified[position].kind) };
    const reason = found.problem ?? additionProblem(found);
    if (reason) rejections.push([file.name, reason]);
    else add(found);
  });
  showRejected(rejections);
  render();
  const added = entries.filter((entry) => files.includes(entry.file));
  callbacks.onChoose(added.some(({ role }) => role !== "video"));
  if (entries.length && !isUploading) announce(`${plural(entries.length, "file")} chosen`);
}

/** Resolve to {kind, type}, or to {problem}: why the server would reject the file. */
async function identifyFile(file) {
  if (filePicker.isFolder(file)) return { problem: "is a folder; drop the files inside it." };
  if (file.size === 0) return { problem: "is empty." };
  const found = await identify(file);
  const max = MAX_SIZES[found.kind];
  return file.size > max ? { problem: `is ${size(file.size)}; at most ${size(max)} are accepted.` } : found;
}

/** Return why a file cannot be added to those that are chosen, or null. */
function additionProblem({ file, kind, role }) {
  if (isUploading) return "was not added; an upload is running.";
  if (isOffered()) return "was not added; the files of another job are used.";
  if (!rolesOf(kind).includes(role)) return `was not added; it cannot be ${ROLES[role].one}.`;
  if (entries.some((entry) => isSameFile(entry.file, file))) return "is already chosen.";
  if (entries.filter((entry) => entry.role === role).length >= maxFiles) {
    return `was not added; at most ${maxFiles} ${ROLES[role].many} can be uploaded at once.`;
  }
  return null;
}

const isSameFile = (one, other) => one?.name === other.name && one.size === other.size &&
  one.lastModified === other.lastModified;

function add(found) {
  const { name, size: bytes } = found.file;
  const url = URL.createObjectURL(found.file);
  addEntry({ ...found, name, size: bytes, url, duration: null });
}

function addEntry(entry) {
  nextKey += 1;
  entries = byRole([...entries, { ...entry, key: String(nextKey), uploaded: 0 }]);
}

const isOffered = () => entries.some(({ file }) => !file);

/** Offer files that the server has already, in place of what was chosen; as entries without `file`. */
export function offer(sources) {
  clear();
  for (const source of sources) addEntry({ ...source, file: null });
  render();
}

function remove(entry) {
  const position = entries.indexOf(entry);
  forget(entry);
  entries.splice(position, 1);
  render();
  callbacks.onChange();
  announce(`${entry.name} removed`);
  const neighbour = entries[Math.min(position, entries.length - 1)];
  (neighbour ? part(rowOf(neighbour), "remove") : byId("choose")).focus();
}

const forget = ({ file, url }) => file && URL.revokeObjectURL(url);

export function clear() {
  entries.forEach(forget);
  entries = [];
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
  for (const { file } of used()) {
    try {
      await file?.slice(0, 1).arrayBuffer();
    } catch {
      return file;
    }
  }
  return null;
}

// -- the list ------------------------------------------------------------------------

const rowOf = (entry) => byId("chosen").querySelector(`[data-key="${entry.key}"]`);

/** Return the img or video in the list that shows a file. */
export const pictureOf = (entry) => part(rowOf(entry), "picture");

const actions = { remove, changeRole, onPicture };

function onPicture(entry) {
  if (entries.includes(entry)) update(rowOf(entry), entry);
  callbacks.onPicture();
}

function render() {
  renderList(byId("chosen"), entries.map((entry) => [entry.key, entry]),
    (entry) => newRow(entry, actions), update);
  byId("drop-zone").hidden = isUploading || isOffered();
}

const update = (row, entry) => fillRow(row, entry, { isUploading, hasBrief, isUsed: isUsed(entry) });

/** Move a file to its place in the list; its row keeps the focus. */
function changeRole(entry, role) {
  entry.role = role;
  entries = byRole(entries);
  render();
  part(rowOf(entry), "role").focus();
  announce(`${entry.name} is ${ROLES[role].one}`);
  callbacks.onChange();
}

/** Without a brief only main clips are used, and nothing else can be chosen. */
export function setBrief(isOn) {
  hasBrief = isOn;
  render();
}

/** Switch between a list that can be changed and one that shows upload progress. */
export function setUploading(uploading) {
  isUploading = uploading;
  for (const entry of entries) entry.uploaded = 0;
  render();
}

/** uploadedBytes: of each file, as in used(). */
export function showProgress(uploadedBytes) {
  used().forEach((entry, position) => {
    entry.uploaded = Math.round(uploadedBytes[position]);
    showUploaded(rowOf(entry), entry);
  });
}

/**
 * handlers: onChoose(needBrief) is called after files were chosen or rejected, onChange() after the
 * list has changed otherwise, onPicture() when a preview or a duration is known.
 */
export function init(handlers) {
  callbacks = handlers;
  filePicker.init(choose, () => !byId("home").hidden && !isUploading);
}
