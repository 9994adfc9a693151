// What a chosen file is, by its first bytes, as the server judges an upload whose type nobody
// declares. The browser's type is not asked: it only says how the file is named.

const START_SIZE = 128;  // bytes in which writers of Matroska name what they write
const EXPORT_ADVICE = "Export it as MP4 (H.264) in the program that made it, then choose that file.";

const { accept, accepted, otherFormats, soundBrands } = document.documentElement.dataset;
const ACCEPT = JSON.parse(accept);  // containers of video, as "mp4"
const OTHER_FORMATS = JSON.parse(otherFormats);  // brand of a file that begins like an MP4 -> what it is
const SOUND_BRANDS = JSON.parse(soundBrands);

const atom = (start) => start.slice(4, 8);
const brand = (start) => atom(start) === "ftyp" ? start.slice(8, 12) : null;
const isRiff = (start, form) => /^(RIFF|RF64)/.test(start) && start.slice(8, 12) === form;
const docType = (start) => start.startsWith("\x1a\x45\xdf\xa3")
  ? /\x42\x82[^]{1,8}?(webm|matroska)/.exec(start)?.[1] : undefined;
const isQuickTime = (start) => brand(start) === "qt  " || /^(moov|mdat|wide|free|skip|pnot)$/.test(atom(start));
const isMp4 = (start) => brand(start) !== null && brand(start) !== "qt  " && !Object.hasOwn(OTHER_FORMATS, brand(start));

/** {kind, type: to declare, matches, container and name: of video}; the first that matches */
const FORMATS = [
  { kind: "picture", type: "image/png", matches: (start) => start.startsWith("\x89PNG\r\n\x1a\n") },
  { kind: "picture", type: "image/jpeg", matches: (start) => start.startsWith("\xff\xd8\xff") },
  { kind: "picture", type: "image/webp", matches: (start) => isRiff(start, "WEBP") },
  { kind: "sound", type: "audio/wav", matches: (start) => isRiff(start, "WAVE") },
  { kind: "sound", type: "audio/flac", matches: (start) => start.startsWith("fLaC") },
  { kind: "sound", type: "audio/ogg", matches: (start) => start.startsWith("OggS") },
  // eleven bits of sync, any version, layer III
  { kind: "sound", type: "audio/mpeg", matches: (start) => /^(ID3|\xff[\xe2\xe3\xea\xeb\xf2\xf3\xfa\xfb])/.test(start) },
  { kind: "sound", type: "audio/mp4", matches: (start) => SOUND_BRANDS.includes(brand(start)) },
  { kind: "clip", type: "video/mp4", container: "mp4", name: "an MP4 video", matches: isMp4 },
  { kind: "clip", type: "video/quicktime", container: "mov", name: "a QuickTime movie (MOV)", matches: isQuickTime },
  { kind: "clip", type: "video/webm", container: "webm", name: "a WebM video", matches: (start) => docType(start) === "webm" },
  { kind: "clip", type: "video/x-matroska", container: "mkv", name: "a Matroska video (MKV)",
    matches: (start) => docType(start) === "matroska" },
];

/**
 * Resolve to {kind, type}, kind "clip", "picture" or "sound"; or to {problem}: why the server would
 * refuse the content, to follow the file's name.
 */
export async function identify(file) {
  let start;
  try {
    start = String.fromCharCode(...new Uint8Array(await file.slice(0, START_SIZE).arrayBuffer()));
  } catch {
    return { problem: "cannot be read; it was moved, or you may not open it." };
  }
  const found = FORMATS.find(({ matches }) => matches(start));
  const isAccepted = found && (!found.container || ACCEPT.includes(found.container));
  return isAccepted ? found : { problem: refusal(file, found?.name ?? OTHER_FORMATS[brand(start)]) };
}

/** what: the content is, if that is known. */
function refusal({ name, type }, what) {
  const onlyMp4 = ACCEPT.join() === "mp4";
  const advice = onlyMp4 && (what ? /movie|video/.test(what) : type.startsWith("video/")) ? ` ${EXPORT_ADVICE}` : "";
  if (what) return onlyMp4 ? `is ${what}, not an MP4 video.${advice}` : `is ${what}; accepted are ${accepted}.`;
  if (!onlyMp4) return `is no video; accepted are ${accepted}.`;
  return /\.mp4$/i.test(name) ? "is not an MP4 video, although its name says so." : `is not an MP4 video.${advice}`;
}

/** Return the same content, declared as what identify() found it to be. */
export const declaredAs = (file, type) => file.type === type ? file : file.slice(0, file.size, type);
