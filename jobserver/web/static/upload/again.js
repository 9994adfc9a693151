// Making a job again: with its files, which the server has kept, and other options.

import * as brief from "../brief/brief.js";
import { apiUrl, request } from "../shared/api.js";
import { byId, setText } from "../shared/dom.js";
import { jobName } from "../shared/format.js";
import * as chosenFiles from "./chosen_files.js";
import * as jobOptions from "./job_options.js";

const KINDS = { overlay: "picture", music: "sound" };  // of the other roles: clip

let source = null;  // the job whose files are used; null: files are uploaded

export const isAgain = () => source !== null;

/** Fill the form in from a job. */
export function begin(job) {
  source = job;
  const { name, more } = jobName(job);
  setText(byId("again-name"), name + more);
  byId("again").hidden = false;
  const files = [...job.files.map((file) => ({ ...file, role: "video" })), ...job.assets ?? []];
  chosenFiles.offer(files.map(entryOf));
  brief.setOn(Boolean(job.brief));
  brief.write(job.brief ?? {});
  jobOptions.write({ ...job, variations: job.variations ?? 0 });
  brief.update();
}

const entryOf = ({ name, size, role, duration, width, height, thumbnailUrl }) =>
  ({ name, size, role, duration, width, height, url: thumbnailUrl, kind: KINDS[role] ?? "clip" });

export function end() {
  source = null;
  byId("again").hidden = true;
}

/** Resolve to the new job. What is left empty is chosen anew, not taken from the other job. */
export function post() {
  const { variations = null, recipe, seed = null, title = null } = jobOptions.values();
  const wanted = { variations, recipe, seed, title, brief: brief.isOn() ? brief.read() : null };
  return request("POST", apiUrl(`jobs/${source.jobId}/again`), wanted);
}
