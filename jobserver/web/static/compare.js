// A dialog that plays a variation beside its source; the source plays in sync with it.

import { byId, renderList, setMedia, setText } from "./dom.js";
import { differences, size } from "./format.js";

const MAX_DRIFT_S = 0.15;  // beyond this, the source seeks to the variation's position

const dialog = byId("compare");
const output = byId("compare-output");
const source = byId("compare-source");

let file = null;
let index = 0;

/** Open the dialog with one output of a file. compareFile: as in the API's job. */
export function open(compareFile, outputId) {
  file = compareFile;
  show(file.outputs.findIndex(({ id }) => id === outputId));
  dialog.showModal();
  byId("compare-title").focus();
}

export const close = () => dialog.close();

/** position: of the output in its file; it wraps around at both ends. */
function show(position) {
  index = (position + file.outputs.length) % file.outputs.length;
  const shown = file.outputs[index];
  setText(byId("compare-title"), `Variation ${shown.index} of ${file.name}`);
  setText(byId("compare-output-name"), `Variation ${shown.index}, ${size(shown.size)}`);
  setText(byId("compare-differences"), differences(shown.parameters));
  setText(byId("compare-error"), "");
  showParameters(shown.parameters);
  setMedia(output, inlineUrl(shown.url));
  showSource();
  byId("compare-download").href = shown.url;
  for (const name of ["previous", "next"]) byId(`compare-${name}`).hidden = file.outputs.length < 2;
}

function showSource() {
  setMedia(source, file.url ? inlineUrl(file.url) : null);
  setMedia(byId("compare-still"), file.url ? null : file.thumbnailUrl);
}

function showParameters(parameters) {
  const entries = Object.entries(parameters).map(([name, value]) => [name, [name, String(value)]]);
  renderList(byId("compare-parameters"), entries, newParameter, fillParameter);
}

function newParameter() {
  const row = document.createElement("div");
  row.append(document.createElement("dt"), document.createElement("dd"));
  return row;
}

function fillParameter(row, [name, value]) {
  setText(row.firstElementChild, name);
  setText(row.lastElementChild, value);
}

/** The same signed link, for playing instead of saving (Content-Disposition: inline). */
function inlineUrl(downloadUrl) {
  const url = new URL(downloadUrl, location.href);
  url.searchParams.set("inline", "1");
  return url.pathname + url.search;
}

function syncSource() {
  if (Math.abs(source.currentTime - output.currentTime) > MAX_DRIFT_S) {
    source.currentTime = output.currentTime;
  }
}

function unloadVideos() {
  for (const video of [output, source]) {
    video.pause();
    video.removeAttribute("src");
    delete video.dataset.failedUrl;  // when the dialog opens again, it is loaded again
    video.load();
  }
}

export function init() {
  output.addEventListener("play", () => { syncSource(); source.play().catch(() => {}); });
  output.addEventListener("pause", () => { source.pause(); syncSource(); });
  output.addEventListener("seeked", syncSource);
  // changing to another variation empties the video without a pause event
  output.addEventListener("emptied", () => { source.pause(); source.currentTime = 0; });
  output.addEventListener("loadeddata", () => setText(byId("compare-error"), ""));
  output.addEventListener("ratechange", () => { source.playbackRate = output.playbackRate; });
  output.addEventListener("error", () => {
    if (output.getAttribute("src")) setText(byId("compare-error"), "This variation could not be played.");
  });
  byId("compare-close").addEventListener("click", close);
  byId("compare-previous").addEventListener("click", () => show(index - 1));
  byId("compare-next").addEventListener("click", () => show(index + 1));
  dialog.addEventListener("close", unloadVideos);
}
