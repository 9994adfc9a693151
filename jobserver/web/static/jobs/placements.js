// Which placements an output fits, and why not; the safe zones of placements over a video. What is said is the
// server's: computed from what was measured and from what pages say that ads may be.

import { byId, part, renderList, setText } from "../shared/dom.js";

const PLACEMENTS = new Map(JSON.parse(document.documentElement.dataset.placements).map((each) => [each.name, each]));
const RATIO_TOLERANCE = 0.01;
const NO_ZONE = "";

/** Have the list of an output's card filled when it is opened: a job may have 500 of them. */
export function initCard(card) {
  part(card, "placements").addEventListener("toggle", ({ target }) => target.open && fillReasons(target));
}

/** Say how many placements an output fits; nothing where it was not measured. */
export function fillPlacements(card, { placements }, name) {
  const details = part(card, "placements");
  details.hidden = !placements;
  if (!placements) return;
  const fitting = Object.values(placements).filter((reasons) => !reasons.length).length;
  setText(part(details, "fits"), `Fits ${fitting} of ${Object.keys(placements).length} placements`);
  part(details, "reasons").ariaLabel = `Placements of ${name}`;
  details.placements = placements;
  if (details.open) fillReasons(details);
}

function fillReasons({ placements, children: [, list] }) {
  renderList(list, Object.entries(placements).map(([name, reasons]) => [name, { name, reasons }]),
    () => document.createElement("li"), (row, { name, reasons }) => {
      setText(row, `${reasons.length ? "✕" : "✓"} ${name}: ${reasons.join(". ") || `fits${hintOf(name)}`}`);
      row.classList.toggle("muted", reasons.length > 0);
    });
}

function hintOf(name) {
  const loudness = PLACEMENTS.get(name)?.loudness;
  return loudness ? `; a page names ${loudness.toFixed(0).replace("-", "−")} LUFS` : "";
}

// -- the safe zone over the video that plays -----------------------------------------------

const select = byId("compare-zone");
const zone = byId("compare-safe-zone");

/** The placements that have a safe zone in a video of this shape. */
function zonesOf({ width, height }) {
  const ratioOf = (format) => format.split(":").reduce((across, down) => across / down);
  return [...PLACEMENTS.values()].filter(({ safeZone, zoneFormat }) => safeZone && width && height &&
    Math.abs(width / height / ratioOf(zoneFormat) - 1) <= RATIO_TOLERANCE);
}

/** Offer the safe zones that a video of this shape has; what is chosen stays, for the next one. */
export function offerZones(video) {
  const chosen = select.value;
  const names = zonesOf(video).map(({ name }) => name);
  select.replaceChildren(new Option("none", NO_ZONE), ...names.map((name) => new Option(name, name)));
  select.value = names.includes(chosen) ? chosen : NO_ZONE;
  byId("compare-zone-field").hidden = names.length === 0;
  showZone();
}

function showZone() {
  const margins = PLACEMENTS.get(select.value)?.safeZone;
  zone.hidden = !margins;
  for (const [side, share] of Object.entries(margins ?? {})) zone.style.setProperty(`--${side}`, `${share * 100}%`);
}

export const initZones = () => select.addEventListener("change", showZone);
