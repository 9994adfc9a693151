// Whether a chosen file is an MP4 video, by its first bytes, as the server judges an upload whose
// type nobody declares. The browser's type is not asked: it only says how the file is named.

const START_SIZE = 12;  // bytes: length of the first box, its type, and the brand of the file
const MP4 = "video/mp4";
const EXPORT_ADVICE = "Export it as MP4 (H.264) in the program that made it, then choose that file.";

/** Brand -> what such a file is; the server's list of formats that begin like an MP4. */
const OTHER_FORMATS = JSON.parse(document.documentElement.dataset.otherFormats);

/** Resolve to why the server would refuse the content, to follow the file's name, or to null. */
export async function contentProblem(file) {
  let start;
  try {
    start = new TextDecoder("latin1").decode(await file.slice(0, START_SIZE).arrayBuffer());
  } catch {
    return "cannot be read; it was moved, or you may not open it.";
  }
  if (start.slice(4, 8) !== "ftyp") return noMp4(file);
  const brand = start.slice(8);
  if (!Object.hasOwn(OTHER_FORMATS, brand)) return null;
  return `is ${OTHER_FORMATS[brand]}, not an MP4 video.${brand === "qt  " ? ` ${EXPORT_ADVICE}` : ""}`;
}

function noMp4({ name, type }) {
  if (/\.mp4$/i.test(name)) return "is not an MP4 video, although its name says so.";
  return `is not an MP4 video.${type.startsWith("video/") ? ` ${EXPORT_ADVICE}` : ""}`;
}

/** Return the same content, declared as what contentProblem() found it to be. */
export const asMp4 = (file) => file.type === MP4 ? file : file.slice(0, file.size, MP4);
