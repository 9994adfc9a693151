// The brief of a new job: what shall vary. Switched on when it is wanted, and by files that only a brief
// uses.

import { byId } from "../shared/dom.js";
import * as chosenFiles from "../upload/chosen_files.js";
import * as jobOptions from "../upload/job_options.js";
import { ROLES } from "../upload/roles.js";
import * as errors from "./errors.js";
import * as fields from "./fields.js";
import * as headlines from "./headlines.js";
import * as parts from "./parts.js";
import * as plan from "./plan.js";
import * as preview from "./preview.js";

const toggle = byId("use-brief");

let exclude;  // of an earlier brief: the form has no field for it
let onChange = () => {};

export const isOn = () => toggle.checked;

/** Return the brief as the API takes it. */
export function read() {
  const written = headlines.read();
  return { ...exclude && { exclude }, ...fields.read(), ...parts.read(), ...written.length && { headlines: written } };
}

/** Show a brief in the form. */
export function write(brief) {
  ({ exclude } = brief);
  fields.write(brief);
  parts.write(brief);
  headlines.write(brief.headlines ?? []);
  update();
}

/** Begin without a brief. */
export function reset() {
  setOn(false);
  errors.clear();
  write({});
}

export function setOn(on) {
  toggle.checked = on;
  for (const id of ["brief", "brief-side", "add-parts"]) byId(id).hidden = !on;
  byId("home").classList.toggle("briefing", on);
  chosenFiles.setBrief(on);
  jobOptions.setBrief(on);
  if (!on) plan.stop();
  update();
}

/** The brief is as it is while it is uploaded. */
export function setDisabled(isDisabled) {
  toggle.disabled = byId("brief").disabled = isDisabled;
}

/** Resolve when the server would take the brief; raises ApiError. */
export const check = () => plan.fetchPlan();

/** Something that the brief depends on has changed. */
export function update() {
  if (isOn()) {
    fields.showDependent();
    parts.update();
    preview.refresh();
    plan.refresh();
  }
  onChange();
}

/** The body of the question for a plan. */
function draft() {
  const files = Object.entries(ROLES).map(([role, { field }]) =>
    [field, chosenFiles.ofRole(role).map(({ name, duration }) => duration ? { name, duration } : { name })]);
  const { title, variations, recipe } = jobOptions.values();
  return { ...Object.fromEntries(files), title, variations, recipe, brief: read() };
}

/** Show what the server has refused at its field, if it names one. */
export function showError({ path, message }) {
  if (isOn() && path && errors.show(path, message)) errors.focus();
}

/** changed: called after each change, and when a plan has come. */
export function init(changed) {
  onChange = changed;
  plan.init(draft, changed);
  preview.init(read);
  headlines.init(update, preview.refresh);
  toggle.addEventListener("change", () => setOn(toggle.checked));
  byId("upload-form").addEventListener("input", update);
  reset();
}
