// What a brief makes: the server counts the videos, names them and estimates time and bytes, a moment
// after the last change.

import { apiUrl, request } from "../shared/api.js";
import { byId, renderList, setText } from "../shared/dom.js";
import { duration, plural, size } from "../shared/format.js";
import * as errors from "./errors.js";

const DEBOUNCE_MS = 400;
const MAX_NAMES = 500;

let timer = null;
let generation = 0;  // answers to earlier questions are ignored
let getDraft = null;
let onPlan = () => {};
let total = null;

/** How many videos the brief makes; null while nobody knows. */
export const totalVideos = () => total;

/** Ask again soon. */
export function refresh() {
  clearTimeout(timer);
  timer = setTimeout(ask, DEBOUNCE_MS);
}

/** Ask no more, and forget the answer that is awaited. */
export function stop() {
  clearTimeout(timer);
  generation += 1;
}

/** Resolve to the plan of what is in the form now; raises ApiError. */
export const fetchPlan = () => request("POST", apiUrl("briefs/plan"), getDraft());

async function ask() {
  const asked = generation += 1;
  if (!getDraft().videos.length) return showNothing("Choose a main clip to see how many videos this makes.");
  try {
    const plan = await fetchPlan();
    if (asked === generation) showPlan(plan);
  } catch (error) {
    if (asked === generation && error.status !== 401) showError(error);
  }
  onPlan();
}

function showPlan(plan) {
  errors.clear();
  total = plan.totalVariations;
  setText(byId("plan-count"), `This makes ${plural(total, "video")}.`);
  setText(byId("plan-cost"), costText(plan));
  setText(byId("plan-error"), unmakeableText(plan.outputs.filter(({ reason }) => reason)));
  byId("plan-details").hidden = false;
  const outputs = plan.outputs.slice(0, MAX_NAMES).map(({ name }, index) => [String(index), name]);
  renderList(byId("plan-names"), outputs, () => document.createElement("li"), setText);
}

/** Outputs that the lengths of their parts do not allow: the server makes the others. */
const unmakeableText = (outputs) => outputs.length
  ? `${plural(outputs.length, "video")} of them cannot be made. ${outputs[0].reason}` : "";

/** "About 2 minutes and 48 MB; 11 pieces to render." */
function costText({ shots, estimatedSeconds, estimatedBytes }) {
  const pieces = `${plural(shots, "piece")} to render.`;
  if (!estimatedSeconds) return pieces;
  return `About ${duration(estimatedSeconds)} and ${size(estimatedBytes)}; ${pieces}`;
}

function showNothing(sentence) {
  total = null;
  setText(byId("plan-count"), "");
  setText(byId("plan-cost"), sentence);
  setText(byId("plan-error"), "");
  byId("plan-details").hidden = true;
}

function showError({ message, path }) {
  showNothing("");
  const isShown = path && errors.show(path, message);
  setText(byId("plan-error"), isShown ? "Nothing yet: see the marked field." : message);
}

/** draft: returns the body of the question: files and brief; planned: called after each answer. */
export function init(draft, planned) {
  [getDraft, onPlan] = [draft, planned];
}
