// The upload's HTTP request: one multipart POST with all files, which reports its progress.

import { ApiError, parseData, toApiError, UNREACHABLE } from "../shared/api.js";
import { endSession, token } from "../shared/session.js";

export const cancelledError = () => new ApiError(null, "Cancelled.");

/**
 * Start the upload. XMLHttpRequest, because fetch reports no upload progress.
 * Returns {response, abort}: response resolves to the new job, or raises ApiError (status null
 * after abort()). onProgress is called with (bytes uploaded, bytes in all).
 */
export function postForm(url, form, onProgress) {
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
  xhr.send(form);
  return { response, abort: () => xhr.abort() };
}
