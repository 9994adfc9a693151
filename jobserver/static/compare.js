// A variation beside its source, in a dialog; the source follows the variation.

import { byId, renderList, setMedia, setText } from "./dom.js";
import { differences, size } from "./format.js";

const FAR_S = 0.15;  // further apart, the source jumps to where the variation is

const dialog = byId("compare");
const output = byId("compare-output");
const source = byId("compare-source");

let file = null;
let index = 0;

/** Show output `id` of a file as the API tells it. */
export function compare(ofFile, id) {
  file = ofFile;
  show(file.outputs.findIndex((each) => each.id === id));
  dialog.showModal();
  byId("compare-title").focus();
}

export const close = () => dialog.close();

/** place: of the output in its file; beyond the last comes the first again. */
function show(place) {
  index = (place + file.outputs.length) % file.outputs.length;
  const shown = file.outputs[index];
  setText(byId("compare-title"), `Variation ${shown.index} of ${file.name}`);
  setText(byId("compare-output-name"), `Variation ${shown.index}, ${size(shown.size)}`);
  setText(byId("compare-how"), differences(shown.parameters));
  setText(byId("compare-error"), "");
  showParameters(shown.parameters);
  setMedia(output, inline(shown.url));
  showSource();
  byId("compare-download").href = shown.url;
  for (const name of ["previous", "next"]) byId(`compare-${name}`).hidden = file.outputs.length < 2;
}

function showSource() {
  setMedia(source, file.url ? inline(file.url) : null);
  setMedia(byId("compare-still"), file.url ? null : file.thumbnailUrl);
}

function showParameters(parameters) {
  const rows = Object.entries(parameters).map(([name, value]) => [name, [name, String(value)]]);
  renderList(byId("compare-parameters"), rows, parameterRow, fillParameter);
}

function parameterRow() {
  const row = document.createElement("div");
  row.append(document.createElement("dt"), document.createElement("dd"));
  return row;
}

function fillParameter(row, [name, value]) {
  setText(row.firstElementChild, name);
  setText(row.lastElementChild, value);
}

/** The same signed link, shown instead of saved. */
function inline(url) {
  const address = new URL(url, location.href);
  address.searchParams.set("inline", "1");
  return address.pathname + address.search;
}

function follow() {
  if (Math.abs(source.currentTime - output.currentTime) > FAR_S) {
    source.currentTime = output.currentTime;
  }
}

function stop() {
  for (const video of [output, source]) {
    video.pause();
    video.removeAttribute("src");
    delete video.dataset.failed;  // whoever opens it again wants to see it tried
    video.load();
  }
}

export function init() {
  output.addEventListener("play", () => { follow(); source.play().catch(() => {}); });
  output.addEventListener("pause", () => { source.pause(); follow(); });
  output.addEventListener("seeked", follow);
  // another variation is no pause of this one: none is told
  output.addEventListener("emptied", () => { source.pause(); source.currentTime = 0; });
  output.addEventListener("loadeddata", () => setText(byId("compare-error"), ""));
  output.addEventListener("ratechange", () => { source.playbackRate = output.playbackRate; });
  output.addEventListener("error", () => {
    if (output.getAttribute("src")) setText(byId("compare-error"), "This variation cannot be played here.");
  });
  byId("compare-close").addEventListener("click", close);
  byId("compare-previous").addEventListener("click", () => show(index - 1));
  byId("compare-next").addEventListener("click", () => show(index + 1));
  dialog.addEventListener("close", stop);
}
