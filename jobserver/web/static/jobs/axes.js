// The axes of a job's outputs: which of them vary, and their values as text.

import { plural } from "../shared/format.js";

/** "hook 1.mp4" -> "hook 1" */
const stem = (name) => name.replace(/\.[^.]+$/, "");
const fileOr = (nothing) => (name) => name === null ? nothing : stem(name);

/** Axis -> {label, text: of a value}; in the sequence in which they are shown. */
const AXES = {
  video: { label: "Main clip", text: stem },
  hook: { label: "Hook", text: fileOr("no hook") },
  ending: { label: "End card", text: fileOr("no end card") },
  format: { label: "Format", text: (format) => format === "source" ? "as the clip" : format },
  length: { label: "Length", text: (seconds) => seconds === "full" ? "full length" : plural(seconds, "second") },
  speed: { label: "Speed", text: (speed) => `${speed} × speed` },
  mirror: { label: "Mirrored", text: (mirror) => mirror ? "mirrored" : "not mirrored" },
  headline: { label: "Headline", text: (text) => text ?? "no headline" },
  music: { label: "Music", text: fileOr("no music") },
  look: { label: "Look", text: (number) => number === null ? "no look" : `look ${number}` },
};

const USUAL = { length: "full", speed: 1, mirror: false };

/** The axes on which an output has a value that is worth saying. */
export const axesOf = ({ axes }) => Object.keys(AXES).filter((axis) =>
  axes[axis] !== null && axes[axis] !== USUAL[axis]);

export const labelOf = (axis) => AXES[axis].label;
export const valueText = (axis, value) => AXES[axis].text(value);

/** A key of a value, for a Map and for the value of an option. */
export const keyOf = (value) => JSON.stringify(value);

/** Return a Map of the axes with two values or more: axis -> [[key, value, how many]]. */
export function varyingAxes(outputs) {
  const axes = Object.keys(AXES).map((axis) => [axis, countValues(outputs, axis)]);
  return new Map(axes.filter(([, values]) => values.length > 1));
}

function countValues(outputs, axis) {
  const counts = new Map();
  for (const { axes } of outputs) {
    const key = keyOf(axes[axis]);
    counts.set(key, [key, axes[axis], (counts.get(key)?.[2] ?? 0) + 1]);
  }
  return [...counts.values()];
}

/** The values of an output on these axes as one line. */
export const describe = ({ axes }, names) => names.map((name) => valueText(name, axes[name])).join(" · ");
