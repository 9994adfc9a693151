// Helpers that every view uses to change the document. Text is set as text, never as markup.

import { pageUrl } from "./api.js";

export const byId = (id) => document.getElementById(id);

/** Return the element below `root` with this data-part. */
export const part = (root, name) => root.querySelector(`[data-part="${name}"]`);

export const cloneTemplate = (id) => byId(id).content.firstElementChild.cloneNode(true);

/** Write only when the text differs, so that nothing flickers and no text selection is lost. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** style: which colours the label gets, when it is not named as its text. */
export function setState(element, label, style = label) {
  setText(element, label);
  if (element.dataset.state !== style) element.dataset.state = style;
}

/** Show a percentage in a progress bar; null hides the bar. */
export function setProgress(bar, percent, label) {
  bar.hidden = percent === null;
  if (percent !== null && bar.value !== percent) bar.value = percent;
  if (label !== undefined) bar.setAttribute("aria-label", label);
}

/**
 * Point an img or video to a signed link. Each poll brings new signatures; media that has
 * loaded keeps its link, media that failed to load takes the new one.
 */
export function setMedia(media, url) {
  media.hidden = !url;
  if (!url) return;
  const { failedUrl } = media.dataset;
  if (failedUrl ? url === failedUrl : hasSamePath(media, url)) return;
  delete media.dataset.failedUrl;
  media.onerror = () => { media.dataset.failedUrl = url; };
  media.src = url;
}

const SHAPES = { narrowest: 9 / 20, widest: 5 / 2 };  // beyond, a picture gets bars

/** Have frames below an element take the shape of a video; {width, height}: null if unknown. */
export function setShape(element, { width, height }) {
  const ratio = width && height ? width / height : 16 / 9;
  const shown = Math.min(Math.max(ratio, SHAPES.narrowest), SHAPES.widest);
  element.style.setProperty("--ratio", shown.toFixed(4));
  element.classList.toggle("upright", shown < 1);
}

const hasSamePath = (media, url) =>
  media.getAttribute("src")?.split("?")[0] === url.split("?")[0];

/** Load the media again that failed to load; called when the server is back. */
export function retryFailedMedia() {
  for (const media of document.querySelectorAll("[data-failed-url]")) {
    const url = media.dataset.failedUrl;
    delete media.dataset.failedUrl;
    media.src = url;
  }
}

/**
 * Make `parent` contain one node per [key, item] of `entries`, in the same sequence. A node
 * whose key is still there is kept, with its focus and scroll position. When a node with the
 * focus is removed, `fallbackFocus` gets the focus.
 */
export function renderList(parent, entries, create, update, fallbackFocus) {
  const nodes = new Map([...parent.children].map((node) => [node.dataset.key, node]));
  const keys = new Set(entries.map(([key]) => key));
  for (const [key, node] of nodes) if (!keys.has(key)) removeNode(node, fallbackFocus);
  let position = parent.firstElementChild;
  for (const [key, item] of entries) {
    const node = nodes.get(key) ?? create(item);
    node.dataset.key = key;
    if (node === position) position = position.nextElementSibling;
    else parent.insertBefore(node, position);
    update(node, item);
  }
}

/** Give a select its options, [[key, text]]; it keeps what is chosen. */
export function fillOptions(select, options) {
  const chosen = select.value;
  renderList(select, options, () => new Option(), (option, text) => {
    setText(option, text);
    option.value = option.dataset.key;
  });
  if (options.some(([key]) => key === chosen)) select.value = chosen;
}

function removeNode(node, fallbackFocus) {
  const hadFocus = node.contains(document.activeElement);
  node.remove();
  if (hadFocus) fallbackFocus?.focus();
}

/** Have screen readers read a sentence (polite live region), even the same one twice. */
export function announce(sentence) {
  const region = byId("live-region");
  // a live region is read only when its text changes; the no-break space is not heard
  region.textContent = region.textContent === sentence ? `${sentence}\u00a0` : sentence;
}

/** Ask before an action that cannot be undone; resolve to true for yes. */
export function askToConfirm(title, text, yes, no) {
  const dialog = byId("confirm");
  const texts = { title, text, yes, no };
  for (const [name, content] of Object.entries(texts)) setText(byId(`confirm-${name}`), content);
  dialog.returnValue = "no";
  dialog.showModal();
  byId("confirm-no").focus();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}

/** Close the confirmation dialog, if it is open; the answer is no. */
export const dismissConfirm = () => byId("confirm").close("no");

/** Go to a URL of the page without a reload; main.js handles the event. */
export function navigate(path) {
  history.pushState(null, "", pageUrl(path));
  window.dispatchEvent(new PopStateEvent("popstate"));
}
