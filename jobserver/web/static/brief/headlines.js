// The headlines of a brief: a row each, with text, place, colours, and when it is shown.

import { announce, byId, cloneTemplate, part, renderList, setText } from "../shared/dom.js";
import { DEFAULTS } from "./fields.js";

const OPAQUE = 1;

let rows = [];  // {key, headline: what the row begins with, as in a brief}
let nextKey = 0;
let onChange = () => {};
let onFocus = () => {};

const list = byId("headlines");
const textOf = (row) => part(row, "text").value.trim();
const writtenRows = () => [...list.children].filter(textOf);

/** Return the list of a brief, [] without a text; null in it: also without a headline. */
export function read() {
  for (const row of list.children) delete row.dataset.path;
  writtenRows().forEach((row, index) => { row.dataset.path = `headlines[${index}]`; });
  const headlines = writtenRows().map(headlineOf);
  return headlines.length && byId("without-headline").checked ? [...headlines, null] : headlines;
}

/** Return the headline of the row with the focus, or the first; null without any. */
export function current() {
  const row = writtenRows().find((each) => each.contains(document.activeElement)) ?? writtenRows()[0];
  return row ? headlineOf(row) : null;
}

function headlineOf(row) {
  const value = (name) => part(row, name).value;
  const headline = {
    text: textOf(row),
    position: value("position"),
    color: value("color"),
    background: part(row, "has-plate").checked ? value("plate") + alpha(Number(value("opacity"))) : null,
    size: Number(value("size")) / 100,
  };
  for (const name of ["from", "to"]) if (value(name)) headline[name] = Number(value(name));
  return headline;
}

/** 0.7 -> "b3", the end of #rrggbbaa; an opaque colour has none */
const alpha = (share) => share === OPAQUE ? "" : Math.round(share * 255).toString(16).padStart(2, "0");

/** "#000000b3" -> ["#000000", 0.7] */
const colorAndAlpha = (color) => [color.slice(0, 7), color.length > 7 ? parseInt(color.slice(7), 16) / 255 : OPAQUE];

// -- rows --------------------------------------------------------------------------

/** Show these headlines of a brief. */
export function write(headlines) {
  rows = headlines.filter(Boolean).map(newEntry);
  if (!rows.length) rows = [newEntry({})];
  list.replaceChildren();
  byId("without-headline").checked = headlines.length > 1 && headlines.includes(null);
  render();
}

function newEntry(headline) {
  nextKey += 1;
  return { key: String(nextKey), headline };
}

function render() {
  renderList(list, rows.map((row, index) => [row.key, { ...row, number: index + 1 }]), newRow, fillRow,
    byId("add-headline"));
}

function newRow({ key, headline }) {
  const row = cloneTemplate("headline-row");
  fillFields(row, { ...DEFAULTS.headline, ...headline });
  row.addEventListener("focusin", onFocus);
  row.addEventListener("change", () => showPlate(row));
  part(row, "remove").addEventListener("click", () => remove(key));
  return row;
}

function fillFields(row, { size, color, background, ...others }) {
  for (const [name, value] of Object.entries(others)) if (value !== null) part(row, name).value = value;
  part(row, "size").value = size * 100;
  part(row, "color").value = colorAndAlpha(color)[0];
  part(row, "has-plate").checked = background !== null;
  if (background) [part(row, "plate").value, part(row, "opacity").value] = colorAndAlpha(background);
  showPlate(row);
}

function showPlate(row) {
  for (const name of ["plate", "opacity"]) part(row, name).disabled = !part(row, "has-plate").checked;
}

function fillRow(row, { number }) {
  setText(part(row, "title"), `Headline ${number}`);
  part(row, "remove").ariaLabel = `Remove headline ${number}`;
}

function add() {
  rows.push(newEntry({}));
  render();
  part(list.lastElementChild, "text").focus();
}

function remove(key) {
  rows = rows.filter((row) => row.key !== key);
  render();
  onChange();
  announce("Headline removed");
}

/**
 * changed: called when the list has changed by more than typing, which the form hears; focused: when
 * another one may be current().
 */
export function init(changed, focused) {
  [onChange, onFocus] = [changed, focused];
  byId("add-headline").addEventListener("click", add);
}
