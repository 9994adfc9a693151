// The request that makes a job: JSON that names uploads, or a form with all files, which reports its
// progress. It may take its time: it has no time limit.

import { ApiError, parseData, toApiError, UNREACHABLE } from "../shared/api.js";
import { endSession, token } from "../shared/session.js";

export const cancelledError = () => new ApiError(null, "Cancelled.");

/**
 * Send a job, body: a FormData or JSON text. XMLHttpRequest, because fetch reports no upload progress.
 * Returns {response, abort}: response resolves to the new job, or raises ApiError (status null
 * after abort()). onProgress is called with (bytes uploaded, bytes in all).
 */
export function postJob(url, body, onProgress = () => {}) {
  const xhr = new XMLHttpRequest();
  const usedToken = token();
  const response = new Promise((resolve, reject) => {
    xhr.onload = resolve;
    xhr.onerror = () => reject(new ApiError(0, UNREACHABLE));
    xhr.onabort = () => reject(cancelledError());
  }).then(() => {
    if (xhr.status === 202) return parseData(xhr.status, xhr.responseText);
    if (xhr.status === 401) endSession(usedToken);
    throw toApiError(xhr.status, xhr.responseText, xhr.getResponseHeader("Retry-After"));
  });
  xhr.upload.onprogress = (event) => onProgress(event.loaded, event.total);
  xhr.open("POST", url);
  xhr.setRequestHeader("Authorization", `Bearer ${usedToken}`);
  if (typeof body === "string") xhr.setRequestHeader("Content-Type", "application/json");
  xhr.send(body);
  return { response, abort: () => xhr.abort() };
}
