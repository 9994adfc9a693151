// The options of the next job in the upload form: variations, recipe, seed and title, with validation.

import { byId, setText } from "../shared/dom.js";

const FIELDS = {
  variations: {
    isValid: () => variations() !== null,
    message: `Choose 1 to ${byId("variations").max} variations.`,
  },
  seed: {
    isValid: isSeedValid,
    message: `A seed is a whole number from 0 to ${byId("seed").dataset.max}.`,
  },
};

/** Return the whole number in a text; null when it is none or out of bounds. */
function parseWholeNumber(text, min, max) {
  const value = /^\d{1,16}$/.test(text.trim()) ? Number(text) : NaN;
  return value >= min && value <= max ? value : null;
}

/** Return the number of variations per video, or null when the field is not valid. */
export const variations = () =>
  parseWholeNumber(byId("variations").value, 1, Number(byId("variations").max));

const titleText = () => byId("title").value.trim();
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
  setText(byId(`${name}-error`), isValid ? "" : FIELDS[name].message);
}

/** A field that is marked as not valid is validated at each key; others only at the start. */
function onInput({ target }) {
  if (target.getAttribute("aria-invalid") === "true") validateField(target.id);
}

export function clearErrors() {
  for (const name of Object.keys(FIELDS)) markField(name, true);
}

export function appendTo(formData) {
  formData.append("variations", String(variations()));
  formData.append("recipe", byId("recipe").value);
  if (seedText()) formData.append("seed", seedText());
  if (titleText()) formData.append("title", titleText());
}

export function setDisabled(disabled) {
  byId("job-options").disabled = disabled;
}

export function init() {
  byId("job-options").addEventListener("input", onInput);
}
