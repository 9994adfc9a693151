// The files of a job with a brief: its main clips and assets with their state, and the outputs that could not be
// made, by their reasons.

import { byId, cloneTemplate, part, renderList, setMedia, setProgress, setShape, setState, setText }
  from "../shared/dom.js";
import { clock, credentials, plural, size } from "../shared/format.js";
import { ROLES } from "../upload/roles.js";

/** Show them. */
export function render(job) {
  const files = [...job.assets, ...job.files.map((file) => ({ ...file, role: "video" }))];
  const sorted = Object.keys(ROLES).flatMap((role) => files.filter((file) => file.role === role));
  renderList(byId("job-sources"), sorted.map((file) => [file.id, file]), () => cloneTemplate("source-row"), fillRow);
  renderFailed(job.files.flatMap((file) => file.failedOutputs ?? []));
}

function fillRow(row, file) {
  setShape(row, file);
  setMedia(part(row, "thumbnail"), file.thumbnailUrl);
  setText(part(row, "role"), ROLES[file.role].label);
  setText(part(row, "name"), file.name);
  setText(part(row, "facts"), factsOf(file));
  setText(part(row, "credentials"), credentials(file));
  setText(part(row, "error"), file.error ?? "");
  setState(part(row, "state"), file.status);
  setProgress(part(row, "progress"), file.status === "processing" ? file.progress ?? null : null,
    `Progress of ${file.name}`);
}

function factsOf({ size: bytes, duration, width, height, completedVariations }) {
  const facts = [size(bytes)];
  if (duration) facts.push(clock(duration));
  if (width) facts.push(`${width} × ${height}`);
  if (completedVariations !== undefined) facts.push(`${plural(completedVariations, "video")} ready`);
  return facts.join(" · ");
}

/** Outputs that failed for the same reason stand together. */
function renderFailed(outputs) {
  const reasons = Map.groupBy(outputs, ({ reason }) => reason);
  byId("job-failed").hidden = outputs.length === 0;
  setText(byId("job-failed-title"), `${plural(outputs.length, "video")} could not be made`);
  renderList(byId("job-failed-reasons"), [...reasons], () => cloneTemplate("failed-reason"), fillReason);
}

function fillReason(row, outputs) {
  setText(part(row, "reason"), outputs[0].reason);
  setText(part(row, "names"), outputs.map(({ name }) => name).join(", "));
}
