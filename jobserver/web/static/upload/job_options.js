// The options of the next job in the upload form: variations (with a brief: looks), recipe, seed and
// title, with validation.

import { byId, setText } from "../shared/dom.js";

const MAX_VARIATIONS = Number(byId("variations").max);

/** Beside a brief variations are looks, one more axis, and none of them is usual. */
const WITHOUT_BRIEF = { label: "Variations each", min: 1, what: "variations", usual: byId("variations").value };
const WITH_BRIEF = { label: "Looks of each", min: 0, what: "looks", usual: "0" };

let mode = WITHOUT_BRIEF;
let otherNumber = WITH_BRIEF.usual;  // what stood there in the other mode

const FIELDS = {
  variations: {
    isValid: () => variations() !== null,
    message: () => `Choose ${mode.min} to ${MAX_VARIATIONS} ${mode.what}.`,
  },
  seed: {
    isValid: isSeedValid,
    message: () => `A seed is a whole number from 0 to ${byId("seed").dataset.max}.`,
  },
};

/** Return the whole number in a text; null when it is none or out of bounds. */
function parseWholeNumber(text, min, max) {
  const value = /^\d{1,16}$/.test(text.trim()) ? Number(text) : NaN;
  return value >= min && value <= max ? value : null;
}

/** Return the number of variations per video, or of looks; null when the field is not valid. */
export const variations = () => parseWholeNumber(byId("variations").value, mode.min, MAX_VARIATIONS);

const seedText = () => byId("seed").value.trim();

function isSeedValid() {
  return seedText() === "" ||
    parseWholeNumber(seedText(), 0, Number(byId("seed").dataset.max)) !== null;
}

/** Show which fields are not valid and focus the first of them; return whether all are valid. */
export function validate() {
  for (const name of Object.keys(FIELDS)) validateField(name);
  const invalid = byId("job-options").querySelector("[aria-invalid=true]");
  if (invalid?.closest("details")) invalid.closest("details").open = true;
  invalid?.focus();
  return !invalid;
}

const validateField = (name) => markField(name, FIELDS[name].isValid());

function markField(name, isValid) {
  byId(name).setAttribute("aria-invalid", String(!isValid));
  setText(byId(`${name}-error`), isValid ? "" : FIELDS[name].message());
}

/** A field that is marked as not valid is validated at each key; others only at the start. */
function onInput({ target }) {
  if (target.getAttribute("aria-invalid") === "true") validateField(target.id);
}

/** Return what is asked for, by the names of the API; valid fields alone, none that is empty. */
export function values() {
  const text = { title: byId("title").value.trim(), seed: seedText(), recipe: byId("recipe").value };
  const filled = Object.fromEntries(Object.entries(text).filter(([, value]) => value));
  return variations() ? { variations: variations(), ...filled } : filled;
}

/** Change between the variations of a job without a brief and the looks of one with it. */
export function setBrief(isOn) {
  const next = isOn ? WITH_BRIEF : WITHOUT_BRIEF;
  if (next === mode) return;
  mode = next;
  const field = byId("variations");
  [field.value, otherNumber] = [otherNumber, field.value];
  field.min = mode.min;
  setText(byId("variations-label"), mode.label);
  byId("looks-help").hidden = !isOn;
  markField("variations", true);
}

/** Choose a recipe; one with ranges of its own becomes a choice as long as the form is not reset. */
function writeRecipe(given) {
  const field = byId("recipe");
  forgetOwnRecipe();
  if (typeof given === "object") {
    const option = new Option("As in that job (ranges of its own)", JSON.stringify(given));
    option.dataset.own = "";
    field.add(option);
  }
  field.value = typeof given === "object" ? JSON.stringify(given) : given;
}

function forgetOwnRecipe() {
  byId("recipe").querySelector("[data-own]")?.remove();
}

/** Fill in from a job; variations: of each video, or looks beside a brief. */
export function write({ variations: number, recipe, seed, title }) {
  byId("variations").value = number;
  writeRecipe(recipe);
  byId("seed").value = seed;
  byId("title").value = title ?? "";
}

/** Begin anew, without a brief. */
export function reset() {
  setBrief(false);
  forgetOwnRecipe();
  byId("variations").value = WITHOUT_BRIEF.usual;
  otherNumber = WITH_BRIEF.usual;
  for (const name of Object.keys(FIELDS)) markField(name, true);
}

export function setDisabled(disabled) {
  byId("job-options").disabled = disabled;
}

export function init() {
  byId("job-options").addEventListener("input", onInput);
}
