// One row of the chosen files: preview, name, size, role, progress, and the button to remove it.

import { cloneTemplate, part, setProgress, setText } from "../shared/dom.js";
import { clock, size } from "../shared/format.js";
import { ROLES, rolesOf } from "./roles.js";

/** actions: {remove, changeRole, onPicture}, called with the entry */
export function newRow(entry, actions) {
  const row = cloneTemplate("chosen-row");
  part(row, "frame").replaceChildren(...newPreview(entry, actions));
  setText(part(row, "name"), entry.name);
  part(row, "remove").ariaLabel = `Remove ${entry.name}`;
  part(row, "remove").addEventListener("click", () => actions.remove(entry));
  fillRoles(part(row, "role"), entry, actions);
  return row;
}

function newPreview(entry, actions) {
  if (entry.kind === "sound" || !entry.url) return [];
  const isVideo = entry.kind === "clip" && entry.file;
  const preview = isVideo ? newVideo(entry, actions) : newPicture(entry, actions);
  preview.dataset.part = "picture";
  preview.src = entry.url;
  return [preview];
}

function newVideo(entry, { onPicture }) {
  const video = document.createElement("video");
  Object.assign(video, { muted: true, playsInline: true, preload: "metadata", tabIndex: -1 });
  video.addEventListener("loadedmetadata", () => {
    video.currentTime = Math.min(1, video.duration / 2);  // the first frame is often black
    entry.duration = video.duration;
    onPicture(entry);
  });
  video.addEventListener("seeked", () => onPicture(entry));
  return video;
}

function newPicture(entry, { onPicture }) {
  const picture = document.createElement("img");
  picture.alt = "";
  picture.addEventListener("load", () => onPicture(entry));
  return picture;
}

function fillRoles(select, entry, { changeRole }) {
  select.ariaLabel = `What ${entry.name} is`;
  select.replaceChildren(...rolesOf(entry.kind).map((role) => new Option(ROLES[role].label, role)));
  select.addEventListener("change", () => changeRole(entry, select.value));
}

/** list: {isUploading, hasBrief, isUsed} of the list and this entry in it */
export function fillRow(row, entry, { isUploading, hasBrief, isUsed }) {
  const isFixed = isUploading || !entry.file;
  part(row, "remove").hidden = isFixed;
  part(row, "role").value = entry.role;
  part(row, "role").hidden = !hasBrief;
  part(row, "role").disabled = isFixed || rolesOf(entry.kind).length === 1;
  row.classList.toggle("unused", !isUsed);
  setText(part(row, "unused"), isUsed ? "" : `${ROLES[entry.role].label}: only a brief uses it`);
  showUploaded(row, entry, isUploading && isUsed && entry.file !== null);
}

export function showUploaded(row, entry, isUploading = true) {
  const facts = entry.duration ? `${clock(entry.duration)}, ${size(entry.size)}` : size(entry.size);
  setText(part(row, "size"), isUploading ? `${size(entry.uploaded)} of ${size(entry.size)}` : facts);
  const percent = isUploading ? Math.floor((entry.uploaded / entry.size) * 100) : null;
  setProgress(part(row, "progress"), percent, `Upload progress of ${entry.name}`);
}
