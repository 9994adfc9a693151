// The few things every view does with the document. Text goes in as text, never as markup.

import { pageUrl } from "./api.js";

export const byId = (id) => document.getElementById(id);

/** Return the element that `root` calls `name` (data-part). */
export const part = (root, name) => root.querySelector(`[data-part="${name}"]`);

export const fromTemplate = (id) => byId(id).content.firstElementChild.cloneNode(true);

/** Write only what differs, so that nothing flickers and no selection is lost. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export function setState(element, word, look = word) {
  setText(element, word);
  if (element.dataset.state !== look) element.dataset.state = look;
}

/** Show a percentage, or hide the bar when there is none (null). */
export function setBar(bar, percent, name) {
  bar.hidden = percent === null;
  if (percent !== null && bar.value !== percent) bar.value = percent;
  if (name !== undefined) bar.setAttribute("aria-label", name);
}

/**
 * Point an img or video to a signed link. Links are signed anew all the time; what shows or
 * plays already stays, unless it could not be loaded.
 */
export function setMedia(media, url) {
  media.hidden = !url;
  if (!url) return;
  const same = media.dataset.failed ? url === media.dataset.failed : samePath(media, url);
  if (same) return;
  delete media.dataset.failed;
  media.onerror = () => { media.dataset.failed = url; };
  media.src = url;
}

/** Load once more what could not be loaded; the server is back. */
export function loadAgain() {
  for (const media of document.querySelectorAll("[data-failed]")) {
    const url = media.dataset.failed;
    delete media.dataset.failed;
    media.src = url;
  }
}

const samePath = (media, url) =>
  media.getAttribute("src")?.split("?")[0] === url.split("?")[0];

/**
 * Make `parent` hold one node per entry ([key, entry], ...), in order. Nodes whose key stays
 * are kept where they are, with focus and scroll; `lost` gets the focus of one that goes.
 */
export function renderList(parent, entries, create, update, lost) {
  const nodes = new Map([...parent.children].map((node) => [node.dataset.key, node]));
  const keys = new Set(entries.map(([key]) => key));
  for (const [key, node] of nodes) if (!keys.has(key)) takeAway(node, lost);
  let place = parent.firstElementChild;
  for (const [key, entry] of entries) {
    const node = nodes.get(key) ?? create(entry);
    node.dataset.key = key;
    if (node === place) place = place.nextElementSibling;
    else parent.insertBefore(node, place);
    update(node, entry);
  }
}

function takeAway(node, lost) {
  const hadFocus = node.contains(document.activeElement);
  node.remove();
  if (hadFocus) lost?.focus();
}

/** Tell a screen reader, politely; the same sentence twice is told twice. */
export function announce(sentence) {
  const live = byId("live");
  live.textContent = live.textContent === sentence ? `${sentence}\u00a0` : sentence;
}

/** Ask before something that cannot be undone; resolve to true for yes. */
export function confirmed(title, text, yes, no) {
  const dialog = byId("confirm");
  const words = { title, text, yes, no };
  for (const [name, word] of Object.entries(words)) setText(byId(`confirm-${name}`), word);
  dialog.returnValue = "no";
  dialog.showModal();
  byId("confirm-no").focus();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}

/** Take back the question that is open, if any; the answer is no. */
export const takeBack = () => byId("confirm").close("no");

/** Go to an address of the page without loading it again; main.js listens. */
export function go(path) {
  history.pushState(null, "", pageUrl(path));
  window.dispatchEvent(new PopStateEvent("popstate"));
}
