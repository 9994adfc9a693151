// How large a job's ZIP will be: at most, before anything is rendered; about, from then on.

import { size } from "./format.js";

/** Bytes of a variation to those of its video, at most: H.264, newer codecs. Empty: no limit. */
const FACTORS = JSON.parse(document.documentElement.dataset.sizeFactors);

const sum = (numbers) => numbers.reduce((total, number) => total + number, 0);

/** Return the limit as text, "" without one. bytes: of all videos; variations: of each. */
export function zipLimit(bytes, variations) {
  if (!FACTORS.length) return "";
  const [usual, newer] = FACTORS.map((factor) => size(factor * bytes * variations));
  return `ZIP of at most ${usual} (HEVC, VP9 or AV1: ${newer})`;
}

const renderedBytes = ({ outputs }) => sum(outputs.map((output) => output.size));
const isUnfinished = ({ status }) => status === "queued" || status === "processing";

/** Return about how many bytes a job's ZIP will have in the end. A variation must be ready. */
export function expectedZipBytes({ files, variationsPerVideo }) {
  const started = files.filter(({ outputs }) => outputs.length);
  const mean = (file) => renderedBytes(file) / file.outputs.length;
  const ratio = sum(started.map(mean)) / sum(started.map((file) => file.size));
  return sum(files.map((file) => !isUnfinished(file) ? renderedBytes(file)
    : variationsPerVideo * (file.outputs.length ? mean(file) : ratio * file.size)));
}
