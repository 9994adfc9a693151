// How files come to the page: the file dialog, and drag and drop anywhere on it.

import { byId } from "../shared/dom.js";

const folders = new WeakSet();  // dropped items that are no files

export const isFolder = (file) => folders.has(file);

function onDrag(event, isOpen) {
  event.preventDefault();  // otherwise a file dropped beside the zone replaces the page
  byId("drop-zone").classList.toggle("drag-over", event.type === "dragover" && isOpen());
}

/** Return what was dropped. A folder looks like a file; only its entry shows what it is. */
function droppedFiles(items) {
  return [...items].filter(({ kind }) => kind === "file").map((item) => {
    const file = item.getAsFile();
    if (item.webkitGetAsEntry()?.isDirectory) folders.add(file);
    return file;
  });
}

function takePicked() {
  const picked = [...byId("files").files];
  byId("files").value = "";  // so that a removed file can be picked again
  return picked;
}

/** choose: called with the files; isOpen: whether the form takes any now. */
export function init(choose, isOpen) {
  byId("choose").addEventListener("click", () => byId("files").click());
  byId("files").addEventListener("change", () => choose(takePicked()));
  for (const type of ["dragover", "dragleave"]) addEventListener(type, (event) => onDrag(event, isOpen));
  addEventListener("drop", (event) => {
    onDrag(event, isOpen);
    if (!byId("home").hidden) choose(droppedFiles(event.dataTransfer?.items ?? []));
  });
}
