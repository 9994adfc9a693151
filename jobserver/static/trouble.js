// One line on top when the server cannot be reached or answers with an error.

import { byId, loadAgain, setText } from "./dom.js";
import { advised } from "./format.js";

/** Given what was raised, or null once it goes well again; returns whether to go on asking. */
export function showTrouble(error) {
  const shown = error && error.status !== 401;
  if (!error && byId("trouble").textContent) loadAgain();
  const advice = error?.status === 0 ? "What is shown may be old; trying again." : "Trying again.";
  setText(byId("trouble"), shown ? advised(error.message, advice) : "");
  return error?.status !== 401;
}
