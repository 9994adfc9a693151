// Who may use the server: keys for programs, and ending every session.

import { apiUrl, request, serverNow } from "./shared/api.js";
import { announce, askToConfirm, byId, cloneTemplate, part, renderList, setText } from "./shared/dom.js";
import { ago } from "./shared/format.js";
import { signedOut } from "./shared/session.js";

export async function open() {
  byId("new-key").hidden = true;
  byId("new-key-text").value = "";
  await refresh();
}

export function close() {
  byId("new-key-text").value = "";  // the only place that holds it
}

async function refresh() {
  try {
    showKeys(await request("GET", apiUrl("keys")));
  } catch (error) {
    setText(byId("keys-note"), error.message);
  }
}

function showKeys(keys) {
  setText(byId("keys-note"), keys.length ? "" : "There are no keys.");
  renderList(byId("keys"), keys.map((key) => [key.id, key]), createRow, updateRow, byId("access-title"));
}

function createRow(key) {
  const row = cloneTemplate("key-row");
  setText(part(row, "name"), key.name);
  part(row, "revoke").setAttribute("aria-label", `Revoke ${key.name}`);
  part(row, "revoke").addEventListener("click", () => revoke(key));
  return row;
}

function updateRow(row, { scopes, lastUsedAt }) {
  const used = lastUsedAt ? `used ${ago(Date.parse(lastUsedAt), serverNow())}` : "never used";
  setText(part(row, "about"), `${scopes.join(", ")} · ${used}`);
}

async function create(event) {
  event.preventDefault();
  const name = byId("key-name").value.trim();
  const scopes = [...document.querySelectorAll("#key-form [name=scope]:checked")].map(({ value }) => value);
  if (!name || !scopes.length) return showError(name ? "Choose what the key may do." : "Name the key.");
  byId("key-button").disabled = true;
  try {
    const { key } = await request("POST", apiUrl("keys"), { name, scopes });
    byId("key-form").reset();
    showError("");
    showNewKey(key);
    await refresh();
  } catch (error) {
    showError(error.message);
  }
  byId("key-button").disabled = false;
}

function showError(sentence) {
  setText(byId("key-error"), sentence);
  if (sentence) byId("key-name").focus();
}

function showNewKey(key) {
  byId("new-key").hidden = false;
  byId("new-key-text").value = key;
  byId("new-key-text").focus();
  byId("new-key-text").select();
}

async function revoke({ id, name }) {
  const sure = await askToConfirm("Revoke this key?", `What uses “${name}” is refused from then on.`, "Revoke", "Keep");
  if (!sure) return;
  try {
    await request("DELETE", apiUrl(`keys/${id}`));
    announce(`${name} is revoked.`);
  } catch (error) {
    setText(byId("keys-note"), error.message);
  }
  await refresh();
}

async function signOutEverywhere() {
  const sure = await askToConfirm("Sign out everywhere?",
    "Everybody has to sign in again, and links that were shared stop working.", "Sign out everywhere", "Stay signed in");
  if (!sure) return;
  try {
    await request("POST", apiUrl("auth/revoke-all"));
    signedOut({ expired: false });
  } catch (error) {
    announce(error.message);
  }
}

export function init() {
  byId("key-form").addEventListener("submit", create);
  byId("sign-out-everywhere").addEventListener("click", signOutEverywhere);
}
