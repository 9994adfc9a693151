// Who is signed in: the token, kept for this tab alone and never part of an address.

import { kept } from "./storage.js";

const ours = kept("sessionStorage", "jobserver.token");

/** Fires "in" and "out"; an "out" has `detail.expired` when the server ended the session. */
export const session = new EventTarget();

export const token = () => ours.get();

export function signedIn(newToken) {
  ours.set(newToken);
  session.dispatchEvent(new Event("in"));
}

export function signedOut({ expired }) {
  ours.set(null);
  session.dispatchEvent(new CustomEvent("out", { detail: { expired } }));
}

/** A 401 for a token that was replaced meanwhile says nothing about the new one. */
export function refused(usedToken) {
  if (usedToken !== null && usedToken === token()) signedOut({ expired: true });
}
