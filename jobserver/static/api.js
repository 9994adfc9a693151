// The server's JSON API: every answer is data, or an ApiError with a sentence for people.

import { refused, token } from "./session.js";

const ROOT = document.documentElement.dataset.root;
const PATIENCE_MS = 30_000;

/** How far the server's clock is ahead of this one, from its latest answer. */
let clockAhead = 0;
export const serverNow = () => Date.now() + clockAhead;

export const apiUrl = (path) => `${ROOT}api/${path}`;
export const pageUrl = (path = "") => ROOT + path;

export class ApiError extends Error {
  /** status: of HTTP; 0 when there was no answer. retryAfter: seconds, or null. */
  constructor(status, message, retryAfter = null) {
    super(message);
    this.status = status;
    this.retryAfter = retryAfter;
  }
}

/** Whether a job is not there, or no more. */
export const isGone = (error) => error?.status === 404 || error?.status === 410;

export const NO_ANSWER = "The server cannot be reached.";

/** Send one request; resolve to the data. Raises ApiError. */
export async function call(method, url, body) {
  const response = await ask(method, url, {}, body && JSON.stringify(body));
  return readJson(await response.text());
}

/**
 * Return a function that asks for `url` again and again and says what moved:
 * {data, changed, next}. An unchanged answer costs the server a 304 where it has an ETag.
 */
export function conditional(url) {
  let last = { text: null, etag: null, data: null, next: null };
  return async () => {
    const response = await ask("GET", url, last.etag ? { "If-None-Match": last.etag } : {});
    if (response.status === 304) return { ...last, changed: false };
    const text = await response.text();
    const changed = text !== last.text;
    const data = changed ? readJson(text) : last.data;
    last = { text, data, etag: response.headers.get("ETag"), next: nextLink(response) };
    return { ...last, changed };
  };
}

async function ask(method, url, headers, body) {
  const used = token();
  if (used) headers.Authorization = `Bearer ${used}`;
  if (body) headers["Content-Type"] = "application/json";
  const response = await fetched(url, { method, headers, body });
  noteClock(response.headers.get("Date"));
  if (response.ok || response.status === 304) return response;
  const error = errorOf(response.status, await response.text().catch(() => ""),
    response.headers.get("Retry-After"));
  if (response.status === 401) refused(used);
  throw error;
}

async function fetched(url, options) {
  try {
    return await fetch(url, { ...options, signal: AbortSignal.timeout(PATIENCE_MS) });
  } catch {
    throw new ApiError(0, NO_ANSWER);
  }
}

/** Make an ApiError from an answer that is no success. */
export function errorOf(status, text, retryAfter) {
  const sentence = readJson(text)?.error ?? "The server gave an answer that makes no sense";
  const seconds = Number.parseInt(retryAfter ?? "", 10);
  return new ApiError(status, `${sentence}.`.replace(/\.\.$/, "."),
    Number.isNaN(seconds) ? null : seconds);
}

function readJson(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function nextLink(response) {
  return /<([^>]*)>;\s*rel="next"/.exec(response.headers.get("Link") ?? "")?.[1] ?? null;
}

function noteClock(date) {
  const moment = Date.parse(date ?? "");
  // the header knows whole seconds; a smaller difference is none
  if (!Number.isNaN(moment)) {
    const ahead = moment - Date.now();
    clockAhead = Math.abs(ahead) < 2000 ? 0 : ahead;
  }
}
