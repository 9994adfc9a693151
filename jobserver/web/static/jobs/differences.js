// How different the outputs of a job are from their sources and from each other: a summary, the filter by label,
// and, when it is asked for, the distances of all siblings as a heat map with what they mean in words.

import { apiUrl, request } from "../shared/api.js";
import { byId, fillOptions, renderList, setText } from "../shared/dom.js";
import { listed, plural } from "../shared/format.js";
import * as heatMap from "./heat_map.js";

const LABELS = ["cosmetic", "visible", "different"];
const SAME_BELOW = Number(document.documentElement.dataset.visibleFrom);  // bits: cosmetic below
const NUMBERS = ["", "", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"];
const MAX_NAMES = 12;
const ALL = "";

const panel = byId("differences");
const filter = byId("label-filter");
const fileSelect = byId("differences-file");
const button = byId("show-differences");

let job = null;
let asked = 0;  // requests of distances; only the answer to the latest is shown

/** Begin anew, for another job. */
export function clear() {
  panel.hidden = true;
  filter.replaceChildren();
  close();
}

/** Whether an output has the label that was chosen. */
export const matches = ({ difference }) => !filter.value || difference?.label === filter.value;

/** Show what was measured of the outputs of a job. */
export function render(shownJob) {
  job = shownJob;
  const measured = job.files.flatMap(({ outputs }) => outputs).filter(({ difference }) => difference);
  panel.hidden = measured.length === 0;
  if (panel.hidden) return;
  const counts = LABELS.map((label) => [label, measured.filter(({ difference }) => difference.label === label).length])
    .filter(([label, count]) => count || label === filter.value);
  setText(byId("differences-summary"), summary(measured, counts));
  fillOptions(filter, [[ALL, "all"], ...counts.map(([label, count]) => [label, `${label} (${count})`])]);
  renderFiles();
}

function summary(measured, counts) {
  const alike = measured.filter(({ difference }) => difference.nearestLabel === "cosmetic").length;
  const beside = alike ? ` ${alike} of them ${alike === 1 ? "has" : "have"} a sibling that is nearly the same.` : "";
  const labels = listed(counts.map(([label, count]) => `${count} ${label}`));
  return `Beside ${job.totalVideos > 1 ? "their sources" : "the source"}: ${labels}.${beside}`;
}

function renderFiles() {
  const files = job.files.filter(({ outputs }) => outputs.length > 1);
  fillOptions(fileSelect, files.map(({ id, name }) => [id, name]));
  byId("differences-file-field").hidden = files.length < 2;
  button.hidden = files.length === 0;
}

// -- the distances of siblings -------------------------------------------------------------

function close() {
  asked += 1;
  byId("heat-map").hidden = true;
  button.ariaExpanded = "false";
}

async function show() {
  const [mine, shown] = [asked += 1, job];
  button.ariaExpanded = "true";
  setText(byId("differences-error"), "");
  try {
    const found = await request("GET", apiUrl(`jobs/${job.jobId}/differences?file=${fileSelect.value}`));
    if (mine === asked) renderDistances(found, shown.files.find(({ id }) => id === fileSelect.value));
  } catch (error) {
    if (mine !== asked) return;
    setText(byId("differences-error"), error.message);
    close();
  }
}

function renderDistances({ outputs: ids, bits }, file) {
  const known = new Map(file.outputs.map((output) => [output.id, output]));
  const names = ids.map((id) => nameOf(known.get(id)));
  const sentences = ideas(bits).map((members) => sentence(members, names));
  if (!sentences.length) sentences.push("No two of these are the same idea.");
  renderList(byId("ideas"), [...sentences.entries()], () => document.createElement("li"), setText);
  byId("heat-map").hidden = false;
  heatMap.draw(bits, names);
}

const nameOf = (output) => output?.axes ? output.name : `variation ${output?.index ?? "?"}`;

/** Groups of two and more in which all are cosmetic to each other, as places in the matrix; the largest first. */
export function ideas(bits) {
  const groups = [];
  for (const place of bits.keys()) {
    const group = groups.find((members) => members.every((other) => bits[place][other] < SAME_BELOW));
    if (group) group.push(place);
    else groups.push([place]);
  }
  return groups.filter(({ length }) => length > 1).sort((one, other) => other.length - one.length);
}

function sentence(members, names) {
  const count = NUMBERS[members.length] ?? members.length;
  if (members.length === names.length && members.length > 2) return `All ${count} are the same idea.`;
  const some = members.slice(0, MAX_NAMES).map((place) => names[place]);
  const rest = members.length - some.length;
  return `These ${count} are the same idea: ${listed(rest ? [...some, plural(rest, "other")] : some)}.`;
}

/** changed: called when another label was chosen */
export function init(changed) {
  filter.addEventListener("change", changed);
  button.addEventListener("click", () => button.ariaExpanded === "true" ? close() : show());
  fileSelect.addEventListener("change", () => button.ariaExpanded === "true" && show());
  heatMap.init();
}
