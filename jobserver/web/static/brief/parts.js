// The parts of a brief that are files: whether a hook, an end card or music may be left out, and the logo.

import { byId, renderList } from "../shared/dom.js";
import { ofRole } from "../upload/chosen_files.js";
import { DEFAULTS } from "./fields.js";

const PERCENT = 100;
const boxes = () => byId("brief").querySelectorAll("[data-none]");
const names = (role) => ofRole(role).map(({ name }) => name);

/** Return the keys of a brief that name files; without them the server takes all that were sent. */
export function read() {
  const brief = {};
  for (const box of boxes()) {
    if (box.checked && names(roleOf(box)).length) brief[box.dataset.none] = [...names(roleOf(box)), null];
  }
  if (names("overlay").length) brief.logo = readLogo();
  return brief;
}

const roleOf = (box) => box.closest("[data-role-needed]").dataset.roleNeeded;

const readLogo = () => ({
  overlay: byId("logo-overlay").value,
  corner: byId("logo-corner").value,
  width: Number(byId("logo-width").value) / PERCENT,
  opacity: Number(byId("logo-opacity").value) / PERCENT,
});

/** Fill in from a brief. */
export function write(brief) {
  for (const box of boxes()) box.checked = brief[box.dataset.none]?.includes(null) ?? false;
  const logo = { ...DEFAULTS.logo, ...brief.logo };
  byId("logo-corner").value = logo.corner;
  byId("logo-width").value = Math.round(logo.width * PERCENT);
  byId("logo-opacity").value = Math.round(logo.opacity * PERCENT);
  update();
  if (logo.overlay) byId("logo-overlay").value = logo.overlay;
}

/** Show the fields of the roles that there are files for. */
export function update() {
  for (const element of byId("brief").querySelectorAll("[data-role-needed]")) {
    element.hidden = names(element.dataset.roleNeeded).length === 0;
  }
  byId("brief-parts").hidden = !["hook", "ending", "overlay", "music"].some((role) => names(role).length);
  const options = names("overlay").map((name) => [name, name]);
  renderList(byId("logo-overlay"), options, (name) => new Option(name, name), () => {});
}

/** Return the file of the logo, or undefined. */
export const logoFile = () => ofRole("overlay").find(({ name }) => name === byId("logo-overlay").value);
