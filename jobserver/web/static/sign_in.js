// The sign-in form: exchanges the password for a token, and counts down after too many attempts.

import { apiUrl, request } from "./shared/api.js";
import { byId, setText } from "./shared/dom.js";
import { duration } from "./shared/format.js";
import { signedIn } from "./shared/session.js";

async function submit(event) {
  event.preventDefault();
  const password = byId("password").value;
  if (!password) return showError("Enter the password.");
  byId("sign-in-button").disabled = true;
  try {
    const { token } = await request("POST", apiUrl("auth"), { password });
    const stay = byId("stay").checked;
    byId("sign-in-form").reset();  // also "stay": it is asked each time
    setText(byId("sign-in-error"), "");
    byId("sign-in-button").disabled = false;
    signedIn(token, { stay });
  } catch (error) {
    onFailure(error);
  }
}

function showError(sentence) {
  setText(byId("sign-in-error"), sentence);
  byId("password").focus();
  byId("password").select();
}

function onFailure(error) {
  if (error.status === 429 && error.retryAfter) return startCountdown(error.retryAfter);
  byId("sign-in-button").disabled = false;
  showError(error.status === 401 ? "Wrong password." : error.message);
}

/** Say the waiting time once, for screen readers, then count the seconds on the button. */
function startCountdown(seconds) {
  const button = byId("sign-in-button");
  showError(`Too many wrong passwords. Try again in ${duration(seconds)}.`);
  const end = performance.now() + seconds * 1000;
  const timer = setInterval(tick, 500);
  function tick() {
    const left = Math.ceil((end - performance.now()) / 1000);
    button.disabled = left > 0;
    setText(button, left > 0 ? `Wait ${left} s` : "Sign in");
    if (left <= 0) clearInterval(timer);
  }
  tick();
}

export function init() {
  byId("sign-in-form").addEventListener("submit", submit);
}
