// How files come to the page: the file dialog, and drag and drop anywhere on it. A button or a place
// with data-role says what the files shall be.

import { byId } from "../shared/dom.js";

const folders = new WeakSet();  // dropped items that are no files
const input = byId("files");

let pickedRole = null;  // of the dialog that is open

export const isFolder = (file) => folders.has(file);

const roleAt = (element) => element.closest?.("[data-role]")?.dataset.role ?? null;

function onDrag(event, isOpen) {
  event.preventDefault();  // otherwise a file dropped beside the zone replaces the page
  const isOver = event.type === "dragover" && isOpen();
  byId("drop-zone").classList.toggle("drag-over", isOver);
  for (const button of byId("drop-zone").querySelectorAll("[data-role]")) {
    button.classList.toggle("drag-over", isOver && button.contains(event.target));
  }
}

/** Return what was dropped. A folder looks like a file; only its entry shows what it is. */
function droppedFiles(items) {
  return [...items].filter(({ kind }) => kind === "file").map((item) => {
    const file = item.getAsFile();
    if (item.webkitGetAsEntry()?.isDirectory) folders.add(file);
    return file;
  });
}

function openDialog({ dataset: { role = null, accept } }) {
  pickedRole = role;
  input.accept = accept;
  input.click();
}

function takePicked() {
  const picked = [...input.files];
  input.value = "";  // so that a removed file can be picked again
  return picked;
}

/** choose: called with files and a role or null; isOpen: whether the form takes any now. */
export function init(choose, isOpen) {
  for (const button of byId("drop-zone").querySelectorAll("button")) {
    button.addEventListener("click", () => openDialog(button));
  }
  input.addEventListener("change", () => choose(takePicked(), pickedRole));
  for (const type of ["dragover", "dragleave"]) addEventListener(type, (event) => onDrag(event, isOpen));
  addEventListener("drop", (event) => {
    onDrag(event, isOpen);
    if (!byId("home").hidden) choose(droppedFiles(event.dataTransfer?.items ?? []), roleAt(event.target));
  });
}
