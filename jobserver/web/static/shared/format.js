// Sizes, times, job states and differences as text for the visitor.

const UNITS = ["bytes", "KB", "MB", "GB", "TB"];  // powers of 1024

/** 1536 -> "1.5 KB", with a no-break space, as percent() has one */
export function size(bytes) {
  const power = bytes < 1 ? 0 : Math.min(Math.floor(Math.log2(bytes) / 10), UNITS.length - 1);
  const value = bytes / 1024 ** power;
  return `${power > 0 && value < 9.95 ? value.toFixed(1) : Math.round(value)}\u00a0${UNITS[power]}`;
}

/** Replace a "; try again" at the end of a sentence with advice of our own. */
export const withAdvice = (sentence, advice) =>
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

/** Milliseconds -> "just now", "3 minutes ago", "2 hours ago", "5 days ago" */
export function ago(then, now) {
  const seconds = Math.max(0, (now - then) / 1000);
  return seconds < 45 ? "just now" : `${approximate(seconds)} ago`;
}

/** Milliseconds -> "expires in 3 hours", "expires any moment" */
export function expiry(then, now) {
  const seconds = (then - now) / 1000;
  return seconds < 60 ? "expires any moment" : `expires in ${approximate(seconds)}`;
}

const LAST_S = 2 * 3600;  // before the end of a job, in which the page warns

/**
 * Milliseconds -> "in 1 hour 20 minutes", when something is deleted that soon; null when there is
 * more time.
 */
export function deletion(then, now) {
  const seconds = (then - now) / 1000;
  if (seconds > LAST_S) return null;
  return seconds < 60 ? "within a minute" : `in ${duration(Math.floor(seconds / 60) * 60)}`;
}

function approximate(seconds) {
  const minutes = Math.max(1, Math.round(seconds / 60));
  if (minutes < 60) return plural(minutes, "minute");
  const hours = Math.round(minutes / 60);
  return hours < 48 ? plural(hours, "hour") : plural(Math.round(hours / 24), "day");
}

/** The name of a job: its title, or its first file and " and 2 more". */
export function jobName({ title, files }) {
  if (title) return { name: title, more: "" };
  if (!files?.length) return { name: "", more: "" };
  return { name: files[0].name, more: files.length > 1 ? ` and ${files.length - 1} more` : "" };
}

const countOf = (files, status) => files.filter((file) => file.status === status).length;

/** Whether every video was completed whole; in a completed job some, or some of their outputs, may have failed. */
export const allCompleted = ({ status, files }) => status === "completed" &&
  files.every((file) => file.status === "completed" && !file.failedVariations);

/** A job's status as shown: [label, style] for setState. */
export const jobState = (job) => job.status !== "completed" || allCompleted(job)
  ? [job.status, job.status] : ["partly completed", "partial"];

/** The result of a job that has ended: "2 of 4 variations, 1 video failed". */
export function resultSummary({ status, files, totalVariations }) {
  const completed = files.reduce((sum, file) => sum + file.completedVariations, 0);
  const all = plural(totalVariations, "variation");
  const facts = [completed === totalVariations ? all : `${completed} of ${all}`];
  for (const fileStatus of ["failed", "cancelled"]) {
    const count = countOf(files, fileStatus);
    if (count && status !== fileStatus) facts.push(`${plural(count, "video")} ${fileStatus}`);
  }
  return facts.join(", ");
}

// no-break space: number and % stay on one line
const percent = (ratio) => `${Math.abs(ratio * 100).toFixed(1)}\u00a0%`;
const signed = (ratio, more, less) => `${percent(ratio)} ${ratio < 0 ? less : more}`;

/** Recipe parameter -> text. */
const DIFFERENCES = {
  zoom: (value) => `zoomed in ${percent(value)}`,
  rotation: (value) => `rotated ${Math.abs((value * 180) / Math.PI).toFixed(2)}° ` +
    (value < 0 ? "counter-clockwise" : "clockwise"),
  brightness: (value) => signed(value, "brighter", "darker"),
  contrast: (value) => signed(value - 1, "more contrast", "less contrast"),
  gamma: (value) => signed(value - 1, "lighter midtones", "darker midtones"),
  saturation: (value) => signed(value - 1, "more colour", "less colour"),
  warmth: (value) => signed(value, "warmer", "cooler"),
  grain: (value) => (value ? `grain ${value}` : ""),
  speed: (value) => signed(value - 1, "faster", "slower"),
  mirror: (value) => (value ? "mirrored" : ""),
};

/** A recipe: its name, or an object with ranges of its own. */
export function recipe(given) {
  if (typeof given === "string") return `recipe ${given}`;
  return given.like ? `ranges like ${given.like}` : "ranges of its own";
}

/** How a variation differs from its source, from its recipe parameters. */
export function differences(parameters) {
  return Object.keys(DIFFERENCES)
    .filter((name) => typeof parameters[name] === "number")
    .map((name) => DIFFERENCES[name](parameters[name]))
    .filter(Boolean)
    .join(", ");
}

/** "a, b, and c" */
export const listed = (names) => new Intl.ListFormat("en").format(names);

/** How far an output is from its source and its nearest sibling; "" where that was not measured. */
export function distances({ difference }) {
  if (!difference) return "";
  const { source, opening, nearest } = difference;
  const beside = typeof nearest === "number" ? `; ${nearest.toFixed(1)} from the nearest sibling` : "";
  const first = typeof opening === "number" ? ` (opening ${opening.toFixed(1)})` : "";
  return `${source.toFixed(1)} bits from the source${first}${beside}`;
}

/** What a source's Content Credentials claim, in words; "" without any. */
export function credentials({ contentCredentials: found }) {
  if (!found) return "";
  const by = found.claimGenerator ? ` Claim generator: ${found.claimGenerator}.` : "";
  return `${found.sentence}${by}${found.aiMade ? " Marked as made with AI." : ""}`;
}
