// The outputs of a job with a brief: filtered by their axes, in groups, as cards or as a contact sheet.

import { byId, cloneTemplate, fillOptions, part, renderList, setText } from "../shared/dom.js";
import { plural } from "../shared/format.js";
import { describe, keyOf, labelOf, valueText, varyingAxes } from "./axes.js";
import * as compare from "./compare.js";
import * as differences from "./differences.js";
import { fillCard, newCard } from "./output_card.js";
import * as selection from "./selection.js";

const GROUPED_FIRST = ["format", "video"];  // what outputs are grouped by, where it varies
const ALL = "";

let items = [];  // {file, output}
let axes = new Map();  // as varyingAxes()
let grouping = null;  // an axis; null: what is usual
const filters = new Map();  // axis -> key of a value

/** Begin anew, for another job. */
export function clear() {
  filters.clear();
  grouping = null;
  byId("results").hidden = true;
  byId("result-groups").replaceChildren();
}

/** Show the outputs of a job. */
export function render(job) {
  items = job.files.flatMap((file) => file.outputs.map((output) => ({ file, output })));
  axes = varyingAxes(items.map(({ output }) => output));
  byId("results").hidden = items.length === 0;
  renderFilters();
  renderGrouping();
  renderGroups();
}

const shown = () => items.filter(({ output }) => differences.matches(output) &&
  [...filters].every(([axis, key]) => !axes.has(axis) || keyOf(output.axes[axis]) === key));

// -- filters and groups ----------------------------------------------------------------

function renderFilters() {
  renderList(byId("result-filters"), [...axes], newFilter, fillFilter, byId("job-title"));
}

function newFilter() {
  const field = cloneTemplate("filter");
  part(field, "select").addEventListener("change", ({ target }) => {
    if (target.value === ALL) filters.delete(field.dataset.key);
    else filters.set(field.dataset.key, target.value);
    renderGroups();
  });
  return field;
}

function fillFilter(field, values) {
  const axis = field.dataset.key;
  setText(part(field, "label"), labelOf(axis));
  part(field, "select").ariaLabel = labelOf(axis);
  const options = values.map(([key, value, count]) => [key, `${valueText(axis, value)} (${count})`]);
  fillOptions(part(field, "select"), [[ALL, "all"], ...options]);
}

const groupingAxis = () => axes.has(grouping) ? grouping
  : grouping === ALL ? null
  : GROUPED_FIRST.find((axis) => axes.has(axis)) ?? null;

function renderGrouping() {
  fillOptions(byId("result-grouping"), [[ALL, "nothing"], ...[...axes.keys()].map((axis) => [axis, labelOf(axis)])]);
  byId("result-grouping").value = groupingAxis() ?? ALL;
}

function renderGroups() {
  const axis = groupingAxis();
  const groups = new Map();
  for (const item of shown()) {
    const key = axis ? keyOf(item.output.axes[axis]) : ALL;
    if (!groups.has(key)) groups.set(key, []);
    groups.get(key).push(item);
  }
  renderList(byId("result-groups"), [...groups], newGroup, (group, members) => fillGroup(group, members, axis),
    byId("job-title"));
  setText(byId("select-shown"), `Select ${items.length === shown().length ? "all" : "these"} ${shown().length}`);
}

const newGroup = () => cloneTemplate("result-group");

function fillGroup(group, members, axis) {
  const title = axis && valueText(axis, members[0].output.axes[axis]);
  part(group, "head").hidden = !axis;
  group.classList.toggle("upright", members.every(({ output: { width, height } }) => width < height));
  setText(part(group, "title"), title ?? "");
  setText(part(group, "count"), plural(members.length, "video"));
  const others = [...axes.keys()].filter((each) => each !== axis);
  renderList(part(group, "outputs"), members.map((item) => [item.output.id, item]),
    (item) => newCard(item, play),
    (card, item) => fillCard(card, { ...item, axes: describe(item.output, others) }), byId("job-title"));
}

const play = (id) => compare.open(shown(), id);

/** changed: see selection.init() */
export function init() {
  byId("result-grouping").addEventListener("change", ({ target }) => {
    grouping = target.value;
    renderGroups();
  });
  byId("contact-sheet").addEventListener("click", ({ currentTarget }) => {
    const isOn = currentTarget.ariaPressed !== "true";
    currentTarget.ariaPressed = String(isOn);
    byId("result-groups").classList.toggle("sheet", isOn);
  });
  byId("select-shown").addEventListener("click", () => selection.choose(shown().map(({ output }) => output.id), true));
}
