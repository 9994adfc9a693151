// The live pictures of the brief: one of each format, and a large one with the safe zone. All show the
// first main clip.

import { byId, setText } from "../shared/dom.js";
import { ofRole, pictureOf } from "../upload/chosen_files.js";
import { drawClip, fit, frameSize, isReady, prepare, sizeOf } from "./drawing.js";
import { DEFAULTS } from "./fields.js";
import * as focus from "./focus.js";
import * as headlines from "./headlines.js";
import { drawHeadline, drawLogo, drawSafeZone, loadFont, logoBox, safeZone } from "./overlays.js";
import { logoFile } from "./parts.js";

const HEIGHTS = { tile: 112, large: 420 };  // CSS pixels, at most
const UNKNOWN = { width: 16, height: 9 };  // the shape of a clip before there is one

const large = byId("preview");
const chosenFormat = byId("preview-format");

let getBrief = null;
let isFontLoaded = false;
let isScheduled = false;

/** Draw soon, once for all changes until then. */
export function refresh() {
  if (isScheduled) return;
  isScheduled = true;
  requestAnimationFrame(() => { isScheduled = false; draw(); });
}

/** The first main clip that can be drawn: {picture, source: its size}; source alone while there is none. */
function firstClip() {
  const entry = ofRole("video").find((each) => pictureOf(each) && isReady(pictureOf(each)));
  const picture = entry && pictureOf(entry);
  return { picture, source: !entry ? UNKNOWN : entry.width ? entry : sizeOf(picture) };
}

/** The brief with what it leaves out. */
const wholeBrief = () => ({ ...DEFAULTS.brief, ...getBrief() });

function draw() {
  const brief = wholeBrief();
  const look = { ...brief, mirror: brief.mirror[0] };
  const clip = firstClip();
  renderFormats(brief.formats);
  for (const canvas of byId("brief").querySelectorAll("canvas[data-format]")) drawTile(canvas, clip, look);
  drawLarge(clip, look);
  if (clip.picture) focus.draw(clip, look, frameSize(chosenFormat.value, look.size, clip.source));
}

/** Offer the formats that are made; keep the one that is shown, if it still is. */
function renderFormats(formats) {
  const shown = chosenFormat.value;
  if ([...chosenFormat.options].map(({ value }) => value).join() !== formats.join()) {
    chosenFormat.replaceChildren(...formats.map((format) => new Option(labelOf(format), format)));
    if (formats.includes(shown)) chosenFormat.value = shown;
  }
  chosenFormat.hidden = formats.length < 2;
}

const labelOf = (format) => format === "source" ? "as the clip" : format;

function drawTile(canvas, clip, look) {
  const frame = frameSize(canvas.dataset.format, look.size, clip.source);
  drawOutput(prepare(canvas, frame, fit(canvas, frame, HEIGHTS.tile)), frame, clip, look);
}

function drawLarge(clip, look) {
  const frame = frameSize(chosenFormat.value, look.size, clip.source);
  const width = fit(large, frame, HEIGHTS.large);
  const context = prepare(large, frame, width);
  drawOutput(context, frame, clip, look);
  if (clip.picture && headlines.current()) drawSafeZone(context, safeZone(frame), frame.width / width);
  const facts = `${frame.width} × ${frame.height}`;
  setText(byId("preview-note"), clip.picture ? facts : "");
  large.ariaLabel = clip.picture ? `Preview, ${labelOf(chosenFormat.value)}, ${facts}` : "No preview yet";
}

function drawOutput(context, frame, clip, look) {
  context.clearRect(0, 0, frame.width, frame.height);
  if (!clip.picture) return;
  drawClip(context, frame, clip, look);
  const picture = logoFile() && pictureOf(logoFile());
  const logo = picture && isReady(picture) ? logoBox(frame, picture, look.logo) : null;
  if (logo) drawLogo(context, picture, logo, look.logo.opacity);
  if (headlines.current()) drawText(context, frame, headlines.current(), logo);
}

function drawText(context, frame, headline, logo) {
  if (isFontLoaded) drawHeadline(context, frame, headline, logo);
  else loadFont().then(() => { isFontLoaded = true; refresh(); });
}

/** brief: returns the brief as it is now. */
export function init(brief) {
  getBrief = brief;
  focus.init();
  chosenFormat.addEventListener("input", refresh);
  byId("brief").addEventListener("change", ({ target }) => {
    if (target.dataset.field === "formats" && target.checked) showFormat(JSON.parse(target.value));
  });
}

/** Show a format that was just ticked. */
function showFormat(format) {
  renderFormats(wholeBrief().formats);
  chosenFormat.value = format;
  refresh();
}
