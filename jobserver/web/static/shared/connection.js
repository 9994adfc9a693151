// One line at the top of the page while the server is offline or answers with an error.

import { byId, retryFailedMedia, setText } from "./dom.js";
import { withAdvice } from "./format.js";

/** error: of the latest poll, null after a success. Returns whether to keep polling. */
export function showConnectionStatus(error) {
  const status = byId("connection-status");
  const isVisible = error && error.status !== 401;
  if (!error && status.textContent) retryFailedMedia();
  const advice = error?.status === 0 ? "This page may be out of date; trying again." : "Trying again.";
  setText(status, isVisible ? withAdvice(error.message, advice) : "");
  return error?.status !== 401;
}
