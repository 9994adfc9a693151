// The visitor's session: the bearer token, stored for this tab only and never part of a URL.

import { storedValue } from "./browser_storage.js";

const storedToken = storedValue("sessionStorage", "jobserver.token");

/** Fires "in" and "out"; an "out" has `detail.expired` when the server ended the session. */
export const session = new EventTarget();

export const token = () => storedToken.get();

export function signedIn(newToken) {
  storedToken.set(newToken);
  session.dispatchEvent(new Event("in"));
}

export function signedOut({ expired }) {
  storedToken.set(null);
  session.dispatchEvent(new CustomEvent("out", { detail: { expired } }));
}

/** End the session after a 401, unless the rejected token has been replaced in the meantime. */
export function endSession(rejectedToken) {
  if (rejectedToken !== null && rejectedToken === token()) signedOut({ expired: true });
}
