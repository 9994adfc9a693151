// Numbers and times in words.

const UNITS = ["bytes", "KB", "MB", "GB", "TB"];  // of 1024, as in "at most 500 MB"

/** 1536 -> "1.5 KB" */
export function size(bytes) {
  const power = bytes < 1 ? 0 : Math.min(Math.floor(Math.log2(bytes) / 10), UNITS.length - 1);
  const value = bytes / 1024 ** power;
  return `${power > 0 && value < 9.95 ? value.toFixed(1) : Math.round(value)} ${UNITS[power]}`;
}

/** Say what is to be done instead of the sentence's own "; try again". */
export const advised = (sentence, advice) =>
  `${sentence.replace(/[;,]? try again( later)?\.$/i, ".")} ${advice}`;

export const plural = (count, word) => `${count} ${word}${count === 1 ? "" : "s"}`;

/** 75 -> "1 minute 15 seconds", 4000 -> "1 hour 7 minutes" */
export function duration(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return plural(whole, "second");
  const minutes = Math.floor(whole / 60);
  if (minutes < 10 && whole % 60) return `${plural(minutes, "minute")} ${plural(whole % 60, "second")}`;
  if (minutes < 60) return plural(minutes, "minute");
  const rest = minutes % 60;
  return plural(Math.floor(minutes / 60), "hour") + (rest ? ` ${plural(rest, "minute")}` : "");
}

/** 75.4 -> "1:15" */
export function clock(seconds) {
  const whole = Math.round(seconds);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

/** Times are milliseconds. "just now", "3 minutes ago", "2 hours ago", "5 days ago" */
export function ago(then, now) {
  const seconds = Math.max(0, (now - then) / 1000);
  return seconds < 45 ? "just now" : `${roughly(seconds)} ago`;
}

/** "expires in 3 hours" or "expires any moment" */
export function expiry(then, now) {
  const seconds = (then - now) / 1000;
  return seconds < 60 ? "expires any moment" : `expires in ${roughly(seconds)}`;
}

function roughly(seconds) {
  const minutes = Math.max(1, Math.round(seconds / 60));
  if (minutes < 60) return plural(minutes, "minute");
  const hours = Math.round(minutes / 60);
  return hours < 48 ? plural(hours, "hour") : plural(Math.round(hours / 24), "day");
}

/** What a job is called: its first file, and how many more. */
export function jobName(files) {
  if (!files?.length) return { name: "", more: "" };
  return { name: files[0].name, more: files.length > 1 ? ` and ${files.length - 1} more` : "" };
}

const countOf = (files, status) => files.filter((file) => file.status === status).length;

/** Some videos of a job that is completed may have failed. */
export const isWhole = ({ status, files }) =>
  status === "completed" && countOf(files, "completed") === files.length;

/** A job's status as it is shown: [word, which look]. */
export const stateOf = (job) => job.status !== "completed" || isWhole(job)
  ? [job.status, job.status] : ["partly completed", "partial"];

/** What came out of a job that has ended: "2 of 4 variations, 1 video failed". */
export function outcome({ status, files, totalVariations }) {
  const made = files.reduce((sum, file) => sum + file.completedVariations, 0);
  const all = plural(totalVariations, "variation");
  const facts = [made === totalVariations ? all : `${made} of ${all}`];
  for (const lesser of ["failed", "cancelled"]) {
    const count = countOf(files, lesser);
    if (count && status !== lesser) facts.push(`${plural(count, "video")} ${lesser}`);
  }
  return facts.join(", ");
}

const percent = (share) => `${Math.abs(share * 100).toFixed(1)}\u00a0%`;  // on one line
const signed = (share, more, less) => `${percent(share)} ${share < 0 ? less : more}`;

const DIFFERENCES = {
  zoom: (value) => `${percent(value)} closer`,
  rotation: (value) => `turned ${Math.abs((value * 180) / Math.PI).toFixed(2)}° ` +
    (value < 0 ? "counter-clockwise" : "clockwise"),
  brightness: (value) => signed(value, "brighter", "darker"),
  contrast: (value) => signed(value - 1, "more contrast", "less contrast"),
  saturation: (value) => signed(value - 1, "more colour", "less colour"),
};

/** Say in words how a variation differs from its source. */
export function differences(parameters) {
  return Object.keys(DIFFERENCES)
    .filter((name) => typeof parameters[name] === "number")
    .map((name) => DIFFERENCES[name](parameters[name]))
    .join(", ");
}
