// One output as a card: picture, what it is, a box to select it, download.

import { cloneTemplate, part, setMedia, setShape, setState, setText } from "../shared/dom.js";
import { clock, differences, distances, size } from "../shared/format.js";
import { fillPlacements, initCard } from "./placements.js";
import { choose, isChosen } from "./selection.js";

/** play: called with the id of the output */
export function newCard({ output }, play) {
  const card = cloneTemplate("output-card");
  part(card, "play").addEventListener("click", () => play(output.id));
  part(card, "select").addEventListener("change", ({ target }) => choose([output.id], target.checked));
  initCard(card);
  return card;
}

/** item: {file, output, axes: text of the axes in which it differs from its siblings, null without a brief} */
export function fillCard(card, { file, output, axes }) {
  const name = axes === null ? `variation ${output.index} of ${file.name}` : output.name;
  if (output.width) setShape(card, output);
  setMedia(part(card, "thumbnail"), output.thumbnailUrl);
  setText(part(card, "title"), axes === null ? `Variation ${output.index}` : axes || output.name);
  setText(part(card, "differences"), axes === null ? differences(output.parameters) : facts(output));
  part(card, "measured").hidden = !output.difference;
  setState(part(card, "label"), output.difference?.label ?? "");
  setText(part(card, "distances"), distances(output));
  fillPlacements(card, output, name);
  part(card, "play").ariaLabel = `Play ${name}`;
  part(card, "select").ariaLabel = `Select ${name}`;
  part(card, "select").checked = isChosen(output.id);
  fillDownload(part(card, "download"), output, name);
}

function fillDownload(link, output, name) {
  link.hidden = !output.url;
  if (output.url) link.href = output.url;
  setText(link, `Download (${size(output.size)})`);
  link.ariaLabel = `Download ${name} (${size(output.size)})`;
}

/** "0:15, 1080 × 1920, −14.0 LUFS" */
export function facts({ duration, width, height, loudness }) {
  const known = [];
  if (duration) known.push(clock(duration));
  if (width) known.push(`${width} × ${height}`);
  if (loudness) known.push(`${loudness.integrated.toFixed(1).replace("-", "−")} LUFS`);
  return known.join(", ");
}
