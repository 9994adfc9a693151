// The visitor's session: the bearer token, never part of a URL. It is stored for this tab only, or,
// when the visitor wants to stay signed in on this computer, for all tabs.

import { storedValue } from "./browser_storage.js";

const KEY = "jobserver.token";
const ofTab = storedValue("sessionStorage", KEY);
const ofComputer = storedValue("localStorage", KEY);

/** Fires "in" and "out"; an "out" has `detail.expired` when the server ended the session. */
export const session = new EventTarget();

export const token = () => ofTab.get() ?? ofComputer.get();

/** stay: whether other tabs, and this one after it was closed, are signed in as well. */
export function signedIn(newToken, { stay = false } = {}) {
  ofTab.set(stay ? null : newToken);
  ofComputer.set(stay ? newToken : null);
  session.dispatchEvent(new Event("in"));
}

export function signedOut({ expired }) {
  ofTab.set(null);
  ofComputer.set(null);
  session.dispatchEvent(new CustomEvent("out", { detail: { expired } }));
}

/** End the session after a 401, unless the rejected token has been replaced in the meantime. */
export function endSession(rejectedToken) {
  if (rejectedToken !== null && rejectedToken === token()) signedOut({ expired: true });
}

/** Another tab has signed out: so does this one, if it has no token of its own. */
addEventListener("storage", ({ key, oldValue, newValue }) => {
  if (key !== KEY || oldValue === null || newValue !== null || ofTab.get() !== null) return;
  signedOut({ expired: false });
});
