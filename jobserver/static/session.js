// Who is signed in: the token, kept for this tab alone and never part of an address.

const KEY = "jobserver.token";

/** Fires "in" and "out"; an "out" has `detail.expired` when the server ended the session. */
export const session = new EventTarget();

export const token = () => sessionStorage.getItem(KEY);

export function signedIn(newToken) {
  sessionStorage.setItem(KEY, newToken);
  session.dispatchEvent(new Event("in"));
}

export function signedOut({ expired }) {
  sessionStorage.removeItem(KEY);
  session.dispatchEvent(new CustomEvent("out", { detail: { expired } }));
}

/** A 401 for a token that was replaced meanwhile says nothing about the new one. */
export function refused(usedToken) {
  if (usedToken !== null && usedToken === token()) signedOut({ expired: true });
}
