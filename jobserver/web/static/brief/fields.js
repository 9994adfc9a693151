// The simple fields of a brief: from the form to the JSON of the API, and back.
//
// Each control names its key in data-field and, in data-type, how its value is written:
//   text, number    empty: the key is left out
//   numbers         several, with spaces or commas between them
//   coordinate      one of a list, at the place in data-place
//   json            the value is JSON; an empty one leaves the key out
// A checkbox adds its value, which is JSON, to a list; a radio button is the value.
// What the server refuses is not judged here: it answers with the field and a sentence.

import { byId } from "../shared/dom.js";

/** What keys have that a brief leaves out; also those of a logo and a headline. */
export const DEFAULTS = JSON.parse(document.documentElement.dataset.briefDefaults);

/** A word that is no number stays a word, for the server to refuse. */
const numberOf = (word) => Number.isNaN(Number(word)) ? word : Number(word);
const numbersIn = (text) => text.split(/[\s,;]+/).filter(Boolean).map(numberOf);
const isNumber = (value) => typeof value === "number";
const isSame = (one, other) => JSON.stringify(one) === JSON.stringify(other);

/** read: returns the value, undefined for none; a list is added to what the key has. */
const TYPES = {
  text: { read: ({ value }) => value.trim() || undefined, write: (value) => value },
  number: { read: ({ value }) => numbersIn(value)[0], write: (value) => isNumber(value) ? value : "" },
  numbers: { read: ({ value }) => numbersIn(value), write: (list) => list?.filter(isNumber).join(" ") },
  coordinate: {
    read: ({ value }) => [Number(value)],
    write: (list, { dataset }) => list?.[dataset.place],
  },
  json: {
    read: ({ value }) => value ? JSON.parse(value) : undefined,
    write: (value, { options }) => value === undefined ? "" : [...options].find((option) => option.value &&
      isMeant(JSON.parse(option.value), value))?.value,
  },
};

/** Whether an option means a value: 0 means any number, which a field of its own has. */
const isMeant = (option, value) => option === 0 ? isNumber(value) : isSame(option, value);

const isBox = ({ type }) => type === "checkbox" || type === "radio";
const controls = () => byId("brief").querySelectorAll("[data-field]");

/** Return the keys that are filled in. A field that is hidden because of another says nothing. */
export function read() {
  const brief = {};
  // boxes first: "full" then is the first of all lengths, from which one change at a time is made
  for (const control of [...controls()].sort((one, other) => isBox(other) - isBox(one))) {
    if (control.closest("[data-when][hidden]")) continue;
    const value = isBox(control) ? readBox(control) : TYPES[control.dataset.type].read(control);
    add(brief, control.dataset.field, value);
  }
  return brief;
}

function readBox({ type, checked, value }) {
  if (!checked || !value) return undefined;
  return type === "radio" ? JSON.parse(value) : [JSON.parse(value)];
}

function add(brief, key, value) {
  if (value === undefined || value.length === 0) return;
  brief[key] = Array.isArray(value) ? [...brief[key] ?? [], ...value] : value;
}

/** Fill in the fields from a brief. */
export function write(brief) {
  for (const control of controls()) {
    const value = brief[control.dataset.field];
    if (isBox(control)) control.checked = isChecked(control, value);
    else control.value = TYPES[control.dataset.type].write(value, control) ?? control.defaultValue ?? "";
  }
  showDependent();
}

function isChecked(control, value) {
  if (control.type === "radio" && value === undefined) return control.defaultChecked;
  return [value ?? []].flat().some((each) => isSame(each, JSON.parse(control.value)));
}

/** Show the fields that have a meaning: data-when="name=value" of another field. */
export function showDependent() {
  const { elements } = byId("upload-form");
  for (const element of byId("brief").querySelectorAll("[data-when]")) {
    const [name, value] = element.dataset.when.split("=");
    element.hidden = elements[name].value !== value;
  }
}
