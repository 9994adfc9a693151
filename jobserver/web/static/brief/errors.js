// Sentences of the server, shown at the field that their path names, as `headlines[1].text`.
//
// An element with data-path holds the field of that path, and has a place for its sentence. What
// has none of its own is shown at the nearest one around it.

import { byId, part, setText } from "../shared/dom.js";

const form = byId("upload-form");
const LAST_STEP = /(^|\.)[^.[\]]*$|\[[^[\]]*\]$/;

/** "headlines[1].text" -> itself, "headlines[1]", "headlines" */
function pathsAround(path) {
  const paths = [];
  for (let rest = path; rest; rest = rest.replace(LAST_STEP, "")) paths.push(rest);
  return paths;
}

const sentenceOf = (field) => field.querySelector(':scope > [data-part="error"]');

/** Show a sentence at the field of a path; return whether there is one that can be seen. */
export function show(path, sentence) {
  clear();
  const field = pathsAround(path).map((each) => form.querySelector(`[data-path="${CSS.escape(each)}"]`)).find(Boolean);
  if (!field?.checkVisibility()) return false;
  const error = sentenceOf(field);
  error.id ||= `error-${field.dataset.path}`;
  setText(error, sentence);
  const name = path.split(".").at(-1);
  const control = part(field, name) ?? field.querySelector("input, select, textarea");
  control.ariaInvalid = "true";
  control.setAttribute("aria-errormessage", error.id);
  return true;
}

export function clear() {
  for (const field of form.querySelectorAll("[data-path]")) setText(sentenceOf(field), "");
  for (const control of byId("brief").querySelectorAll("[aria-invalid=true]")) control.ariaInvalid = "false";
}

/** Move the focus to the field with a sentence. */
export function focus() {
  const control = byId("brief").querySelector("[aria-invalid=true]");
  control?.closest("details")?.setAttribute("open", "");
  control?.focus();
}
