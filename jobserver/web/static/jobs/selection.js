// The outputs of a job that a visitor has ticked, and their download as one ZIP.

import { apiUrl, requestFile } from "../shared/api.js";
import { byId, setText } from "../shared/dom.js";
import { plural, size } from "../shared/format.js";

const MAX_LINK_LENGTH = 3_500;  // of an address; gunicorn takes 4,094 characters of a first line

const chosen = new Set();  // ids of outputs
let ticked = [];  // those of them that the job has
let job = null;
let onChange = () => {};

const link = byId("download-selection");

export const isChosen = (id) => chosen.has(id);

export function choose(ids, isWanted) {
  for (const id of ids) isWanted ? chosen.add(id) : chosen.delete(id);
  onChange();
}

/** Forget what was ticked, as of another job. */
export function clear() {
  chosen.clear();
  byId("selection").hidden = true;
}

/** Show how much is ticked. outputs: all of the job. */
export function render(shownJob, outputs) {
  [job, ticked] = [shownJob, outputs.filter(({ id }) => chosen.has(id))];
  const hadFocus = byId("selection").contains(document.activeElement);
  byId("selection").hidden = ticked.length === 0;
  if (hadFocus && !ticked.length) byId("job-title").focus();
  const bytes = ticked.reduce((sum, output) => sum + output.size, 0);
  setText(byId("selection-count"), `${plural(ticked.length, "video")} selected`);
  setText(link, `Download as ZIP (${size(bytes)})`);
  if (job.downloadUrl) link.href = address();
}

const ids = () => ticked.map(({ id }) => id);
const address = () => `${job.downloadUrl}&outputs=${ids().join()}`;

/** More ids than an address holds are sent in a body; the browser then keeps the file until it is saved. */
async function onDownload(event) {
  if (address().length <= MAX_LINK_LENGTH) return;
  event.preventDefault();
  if (link.ariaDisabled === "true") return;
  link.ariaDisabled = "true";
  try {
    const file = await requestFile("POST", apiUrl(`jobs/${job.jobId}/download`), { outputs: ids() });
    save(file, `${job.title ?? "selection"}.zip`);
  } catch (error) {
    setText(byId("job-error"), error.message);
  } finally {
    link.ariaDisabled = "false";
  }
}

function save(file, name) {
  const url = URL.createObjectURL(file);
  Object.assign(document.createElement("a"), { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);  // a browser reads it after the click
}

/** changed: called when something was ticked or is no longer. */
export function init(changed) {
  onChange = changed;
  link.addEventListener("click", onDownload);
  byId("clear-selection").addEventListener("click", () => { chosen.clear(); changed(); });
}
