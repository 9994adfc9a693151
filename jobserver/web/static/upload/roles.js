// What a file is for in a job: its part of each video, the upload's field, and the kinds of file
// that can be it. In the sequence in which files are listed, which is that of the video.

/** kinds: as kindOf() in file_kinds.js says them. */
export const ROLES = {
  hook: { field: "hooks", label: "Hook", one: "a hook", many: "hooks", kinds: ["clip"] },
  video: { field: "videos", label: "Main clip", one: "a main clip", many: "videos", kinds: ["clip"] },
  ending: { field: "endings", label: "End card", one: "an end card", many: "end cards", kinds: ["clip", "picture"] },
  overlay: { field: "overlays", label: "Logo", one: "a logo", many: "logos", kinds: ["picture"] },
  music: { field: "music", label: "Music", one: "music", many: "pieces of music", kinds: ["sound"] },
};

const NAMES = Object.keys(ROLES);
const DEFAULTS = { clip: "video", picture: "ending", sound: "music" };

/** The roles that a file of this kind can have, and the one that it gets by itself. */
export const rolesOf = (kind) => NAMES.filter((role) => ROLES[role].kinds.includes(kind));
export const defaultRole = (kind) => DEFAULTS[kind];

/** Sort by role, keeping the sequence within each. */
export const byRole = (entries) => NAMES.flatMap((role) => entries.filter((entry) => entry.role === role));
