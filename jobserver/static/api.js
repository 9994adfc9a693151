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
const NO_SENSE = "The server gave an answer that makes no sense.";

/** Send one request; resolve to the data. Raises ApiError. */
export async function call(method, url, body) {
  const { response, text } = await ask(method, url, {}, body && JSON.stringify(body));
  return dataOf(response.status, text);
}

/**
 * Return a function that asks for `url` again and again and says what moved:
 * {data, changed, next}. An unchanged answer costs the server a 304 where it has an ETag.
 */
export function conditional(url) {
  let last = { text: null, etag: null, data: null, next: null };
  return async () => {
    const etag = last.etag ? { "If-None-Match": last.etag } : {};
    const { response, text } = await ask("GET", url, etag);
    if (response.status === 304) return { ...last, changed: false };
    const changed = text !== last.text;
    const data = changed ? dataOf(response.status, text) : last.data;
    last = { text, data, etag: response.headers.get("ETag"), next: nextLink(response) };
    return { ...last, changed };
  };
}

/** Resolve to {response, text} of a success. Raises ApiError. */
async function ask(method, url, headers, body) {
  const used = token();
  if (used) headers.Authorization = `Bearer ${used}`;
  if (body) headers["Content-Type"] = "application/json";
  const { response, text } = await fetched(url, { method, headers, body });
  noteClock(response.headers.get("Date"));
  if (response.ok || response.status === 304) return { response, text };
  if (response.status === 401) refused(used);
  throw errorOf(response.status, text, response.headers.get("Retry-After"));
}

async function fetched(url, options) {
  try {
    const response = await fetch(url, { ...options, signal: AbortSignal.timeout(PATIENCE_MS) });
    return { response, text: await response.text() };
  } catch {
    throw new ApiError(0, NO_ANSWER);
  }
}

/** Make an ApiError from an answer that is no success. */
export function errorOf(status, text, retryAfter) {
  const sentence = readJson(text)?.error ?? NO_SENSE;
  const seconds = Number.parseInt(retryAfter ?? "", 10);
  return new ApiError(status, `${sentence}.`.replace(/\.\.$/, "."),
    Number.isNaN(seconds) ? null : seconds);
}

/** Return what a success says. Raises ApiError when something else than the server answered. */
export function dataOf(status, text) {
  const data = readJson(text);
  if (data === null) throw new ApiError(status, NO_SENSE);
  return data;
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
