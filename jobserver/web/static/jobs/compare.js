// A dialog that plays a variation beside its source, in sync, and shows the source in the place of
// the variation while a button or a key is held; an output of a brief alone.

import { byId, renderList, setMedia, setShape, setText } from "../shared/dom.js";
import { differences, size } from "../shared/format.js";
import { axesOf, describe } from "./axes.js";
import { facts } from "./output_card.js";
import { initZones, offerZones } from "./placements.js";

const MAX_DRIFT_S = 0.15;  // beyond this, the playing source seeks to the variation's position
const SEEK_STEP_S = 0.001;  // less than a frame
const SOURCE_NOTE = "Source, without sound, in sync";
const STILL_NOTE = "Source, as a small still: this browser cannot play the video";

const dialog = byId("compare");
const output = byId("compare-output");
const source = byId("compare-source");
const still = byId("compare-still");
const swapButton = byId("compare-swap");

let items = [];  // {file, output}: what can be shown
let index = 0;
let isTabbing = false;  // the focus was moved by keyboard: the player's own keys are needed

/** Open the dialog with one of these outputs: [{file, output}], both as in the API's job. */
export function open(outputs, outputId) {
  items = outputs;
  show(items.findIndex(({ output: { id } }) => id === outputId));
  dialog.showModal();
  byId("compare-title").focus();
}

export const close = () => dialog.close();

/** An output of a brief has parts of its own, so it is shown alone, not beside its source. */
const isAlone = () => Boolean(items[index].output.axes);

/** position: of the output in the list; it wraps around at both ends. */
function show(position) {
  swap(false);
  index = (position + items.length) % items.length;
  const { file, output: shown } = items[index];
  setShape(dialog, isAlone() ? shown : file);
  offerZones(shown.width ? shown : file);
  dialog.classList.toggle("alone", isAlone());
  byId("compare-differences").classList.toggle("differences", !isAlone());
  setText(byId("compare-title"), isAlone() ? shown.name : `Variation ${shown.index} of ${file.name}`);
  setText(byId("compare-output-name"), outputName());
  setText(byId("compare-differences"), isAlone() ? describe(shown, axesOf(shown)) : differences(shown.parameters));
  setText(byId("compare-error"), "");
  showParameters(shown.parameters);
  setMedia(output, inlineUrl(shown.url));
  setMedia(source, file.url && !isAlone() ? inlineUrl(file.url) : null);
  showSourceOrStill();
  byId("compare-download").href = shown.url;
  for (const name of ["previous", "next"]) byId(`compare-${name}`).hidden = items.length < 2;
}

function outputName() {
  const { output: shown } = items[index];
  return isAlone() ? `${facts(shown)}, ${size(shown.size)}` : `Variation ${shown.index}, ${size(shown.size)}`;
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

// -- the source ------------------------------------------------------------------------

/** Whether the browser plays no picture of it: some play the sound of what they cannot decode. */
const isUnplayable = () => source.error !== null ||
  (source.readyState >= HTMLMediaElement.HAVE_METADATA && source.videoWidth === 0);

function showSourceOrStill() {
  const { file } = items[index];
  const asStill = isAlone() || !file.url || isUnplayable();
  if (asStill !== source.hidden) swap(false);
  source.hidden = asStill;
  setMedia(still, asStill && !isAlone() ? file.thumbnailUrl : null);
  setText(byId("compare-source-note"), asStill ? STILL_NOTE : SOURCE_NOTE);
}

/** A paused source shows the very moment of the variation; a playing one seeks if it drifted. */
function syncSource() {
  const drift = Math.abs(source.currentTime - output.currentTime);
  if (drift > (output.paused ? 0 : MAX_DRIFT_S)) source.currentTime = output.currentTime;
}

function onPause() {
  source.pause();
  // The picture shown may lie some frames beside currentTime; a seek shows the one of that time,
  // and brings syncSource. Chromium skips a seek to the very same time.
  if (output.ended) syncSource();
  else output.currentTime = Math.max(0, output.currentTime - SEEK_STEP_S);
}

/** Lay the source over the variation, or take it back to its place. */
function swap(isSwapped) {
  if (isSwapped && isAlone()) return;
  for (const media of [source, still]) {
    media.classList.toggle("swapped", isSwapped);
    media.style.transform = isSwapped && !media.hidden ? wayTo(output, media) : "";
  }
  swapButton.ariaPressed = String(isSwapped);
  if (items.length) setText(byId("compare-output-name"), isSwapped ? "Source" : outputName());
}

function wayTo(target, element) {
  const [to, from] = [target, element].map((each) => each.getBoundingClientRect());
  return `translate(${to.x - from.x}px, ${to.y - from.y}px)`;
}

// -- keys and buttons ------------------------------------------------------------------

function onKeyDown(event) {
  if (event.key === "Tab") isTabbing = true;
  if (event.ctrlKey || event.metaKey || event.altKey || event.target instanceof HTMLSelectElement) return;
  if (event.key.toLowerCase() === "s") event.repeat || swap(true);
  else if (!goByArrow(event)) return;
  event.preventDefault();
}

/** Return whether a key went to another variation. */
function goByArrow({ key, target }) {
  const step = { ArrowLeft: -1, ArrowRight: 1 }[key];
  if (!step || (target === output && isTabbing)) return false;
  if (items.length > 1) show(index + step);
  return true;
}

function onKeyUp({ key }) {
  if (key.toLowerCase() === "s") swap(false);
}

/** Show the source while the button is held; a press of a key on it, which has no end, toggles. */
function initSwapButton() {
  swapButton.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    swapButton.setPointerCapture(event.pointerId);
    swap(true);
  });
  swapButton.addEventListener("lostpointercapture", () => swap(false));
  swapButton.addEventListener("contextmenu", (event) => event.preventDefault());  // of a long touch
  swapButton.addEventListener("click", ({ detail }) => {
    if (detail === 0) swap(swapButton.ariaPressed !== "true");
  });
}

function initVideos() {
  output.addEventListener("play", () => { syncSource(); source.play().catch(() => {}); });
  output.addEventListener("pause", onPause);
  output.addEventListener("seeked", syncSource);
  // changing to another variation empties the video without a pause event
  output.addEventListener("emptied", () => { source.pause(); source.currentTime = 0; });
  output.addEventListener("loadeddata", () => setText(byId("compare-error"), ""));
  output.addEventListener("ratechange", () => { source.playbackRate = output.playbackRate; });
  output.addEventListener("error", () => {
    if (output.getAttribute("src")) setText(byId("compare-error"), "This variation could not be played.");
  });
  for (const type of ["error", "loadedmetadata"]) {
    source.addEventListener(type, () => dialog.open && showSourceOrStill());
  }
}

function unloadVideos() {
  swap(false);
  for (const video of [output, source]) {
    video.pause();
    video.removeAttribute("src");
    delete video.dataset.failedUrl;  // when the dialog opens again, it is loaded again
    video.load();
  }
}

export function init() {
  initVideos();
  initZones();
  initSwapButton();
  byId("compare-close").addEventListener("click", close);
  byId("compare-previous").addEventListener("click", () => show(index - 1));
  byId("compare-next").addEventListener("click", () => show(index + 1));
  dialog.addEventListener("keydown", onKeyDown);
  dialog.addEventListener("keyup", onKeyUp);
  dialog.addEventListener("pointerdown", () => { isTabbing = false; });
  dialog.addEventListener("close", unloadVideos);
  addEventListener("blur", () => swap(false));  // the key is released elsewhere
}
