// Client of the server's JSON API: each response becomes data, or an ApiError with a sentence
// that the visitor can read.

import { endSession, token } from "./session.js";

const ROOT = document.documentElement.dataset.root;
const REQUEST_TIMEOUT_MS = 30_000;

/** Milliseconds that the server's clock is ahead of this one, from the latest response. */
let clockOffset = 0;
export const serverNow = () => Date.now() + clockOffset;

export const apiUrl = (path) => `${ROOT}api/${path}`;
export const pageUrl = (path = "") => ROOT + path;

export class ApiError extends Error {
  /**
   * status: of HTTP; 0 when there was no response. retryAfter: seconds, or null. path: the part of a
   * brief that is refused, as "headlines[1].text", or null.
   */
  constructor(status, message, { retryAfter = null, path = null } = {}) {
    super(message);
    Object.assign(this, { status, retryAfter, path });
  }
}

/** Whether an error means that the job does not exist, or no longer exists. */
export const isGone = (error) => error?.status === 404 || error?.status === 410;

export const UNREACHABLE = "The server cannot be reached.";
const INVALID_RESPONSE = "The server sent an invalid response.";

/** Send one request; resolve to the data. Raises ApiError. */
export async function request(method, url, body) {
  const { response, text } = await fetchApi(method, url, {}, body && JSON.stringify(body));
  return parseData(response.status, text);
}

/** Send one request; resolve to the file (a Blob) that it is answered with, however long that takes. */
export async function requestFile(method, url, body) {
  const options = { method, headers: authorized({ "Content-Type": "application/json" }), body: JSON.stringify(body) };
  const response = await fetch(url, options).catch(() => { throw new ApiError(0, UNREACHABLE); });
  if (!response.ok) throw toApiError(response.status, await response.text(), response.headers.get("Retry-After"));
  return response.blob();
}

/**
 * Return a function that fetches `url` each time it is called and resolves to
 * {data, changed, next}. When the server sent an ETag, an unchanged response is a 304.
 */
export function conditionalGet(url) {
  let last = { text: null, etag: null, data: null, next: null };
  return async () => {
    const etag = last.etag ? { "If-None-Match": last.etag } : {};
    const { response, text } = await fetchApi("GET", url, etag);
    if (response.status === 304) return { ...last, changed: false };
    const changed = text !== last.text;
    const data = changed ? parseData(response.status, text) : last.data;
    last = { text, data, etag: response.headers.get("ETag"), next: nextLink(response) };
    return { ...last, changed };
  };
}

/** Resolve to {response, text} of a success. Raises ApiError. */
async function fetchApi(method, url, headers, body) {
  const usedToken = token();
  authorized(headers);
  if (body) headers["Content-Type"] = "application/json";
  const { response, text } = await fetchText(url, { method, headers, body });
  updateClockOffset(response.headers.get("Date"));
  if (response.ok || response.status === 304) return { response, text };
  if (response.status === 401) endSession(usedToken);
  throw toApiError(response.status, text, response.headers.get("Retry-After"));
}

function authorized(headers) {
  if (token()) headers.Authorization = `Bearer ${token()}`;
  return headers;
}

async function fetchText(url, options) {
  try {
    const response = await fetch(url, { ...options, signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS) });
    return { response, text: await response.text() };
  } catch {
    throw new ApiError(0, UNREACHABLE);
  }
}

/** Make an ApiError from an error response. */
export function toApiError(status, text, retryAfter) {
  const { error: sentence = INVALID_RESPONSE, path } = parseJson(text) ?? {};
  const seconds = Number.parseInt(retryAfter ?? "", 10);
  return new ApiError(status, `${sentence}.`.replace(/\.\.$/, "."),
    { path, retryAfter: Number.isNaN(seconds) ? null : seconds });
}

/** Return the data of a success. Raises ApiError when it is not JSON, as from another server. */
export function parseData(status, text) {
  const data = parseJson(text);
  if (data === null) throw new ApiError(status, INVALID_RESPONSE);
  return data;
}

function parseJson(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function nextLink(response) {
  return /<([^>]*)>;\s*rel="next"/.exec(response.headers.get("Link") ?? "")?.[1] ?? null;
}

function updateClockOffset(dateHeader) {
  const serverTime = Date.parse(dateHeader ?? "");
  if (Number.isNaN(serverTime)) return;
  const offset = serverTime - Date.now();
  // the header has whole seconds, so a small difference is rounding
  clockOffset = Math.abs(offset) < 2000 ? 0 : offset;
}
