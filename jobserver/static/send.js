// One multipart request on its way: how far each file is, how fast, how much longer.

import { ApiError, dataOf, errorOf, NO_ANSWER } from "./api.js";
import { refused, token } from "./session.js";

const WINDOW_MS = 5_000;  // the pace is that of the last seconds
const STALLED_MS = 10_000;

/**
 * Begin to send; XMLHttpRequest, because fetch cannot say how much has gone.
 * Returns {answer, abort}: answer resolves to the job, or raises ApiError (status null when
 * aborted); onProgress is given (bytes gone, bytes in all).
 */
export function send(url, form, onProgress) {
  const request = new XMLHttpRequest();
  const used = token();
  const answer = new Promise((resolve, reject) => {
    request.onload = resolve;
    request.onerror = () => reject(new ApiError(0, NO_ANSWER));
    request.onabort = () => reject(new ApiError(null, "Cancelled."));
  }).then(() => {
    if (request.status === 202) return dataOf(request.status, request.responseText);
    if (request.status === 401) refused(used);
    throw errorOf(request.status, request.responseText, request.getResponseHeader("Retry-After"));
  });
  request.upload.onprogress = (event) => onProgress(event.loaded, event.total);
  request.open("POST", url);
  request.setRequestHeader("Authorization", `Bearer ${used}`);
  request.send(form);
  return { answer, abort: () => request.abort() };
}

/**
 * Share what has gone among the files, which lie one behind the other in the body. What is
 * around them (headers, boundaries) is a few hundred bytes, taken to be even.
 */
export function sentOfEach(sizes, gone, total) {
  const around = (total - sizes.reduce((sum, size) => sum + size, 0)) / (sizes.length + 1);
  let start = 0;
  return sizes.map((size) => {
    start += around;
    const sent = Math.min(Math.max(gone - start, 0), size);
    start += size;
    return sent;
  });
}

/** How fast it goes, from the moments of the last seconds. */
export class Pace {
  #moments = [];

  note(gone, now) {
    if (gone !== this.#moments.at(-1)?.gone) this.#moments.push({ gone, now });
    while (this.#moments.length > 2 && this.#moments[1].now < now - WINDOW_MS) this.#moments.shift();
  }

  /** Bytes a second; 0 before it can be told. */
  speed() {
    const [first, last] = [this.#moments[0], this.#moments.at(-1)];
    const passed = last ? last.now - first.now : 0;
    return passed < 200 ? 0 : ((last.gone - first.gone) * 1000) / passed;
  }

  stalled(now) {
    return this.#moments.length > 0 && now - this.#moments.at(-1).now > STALLED_MS;
  }
}
