// Uploads one file with tus 1.0.0: in one request while the line holds, and from where it was when
// it did not, also after the page was loaded again.

import { ApiError, toApiError, UNREACHABLE } from "../shared/api.js";
import { storedValue } from "../shared/browser_storage.js";
import { endSession, token } from "../shared/session.js";

const VERSION = { "Tus-Resumable": "1.0.0" };
const OFFSET_TYPE = { "Content-Type": "application/offset+octet-stream" };
const RETRY_DELAYS_MS = [0, 500, 1_000, 2_000, 4_000, 8_000, 15_000, 30_000];
const CONFLICTS = [409, 423];  // somebody else appended: ask where it is
const UNSUPPORTED = [404, 405, 411, 412, 415, 501];  // of a server, or a proxy, without tus

/** Raised when files have to be sent in a form. */
export class TusUnsupported extends Error {}

/** Where the address of an upload is kept until a job has it. */
const addressOf = (source) => storedValue("localStorage", `jobserver.upload.${fingerprint(source)}`);

const fingerprint = ({ name, field, type, file }) =>
  [field, name, type, file.size, file.lastModified].map(encodeURIComponent).join(".");

/** Forget where files were uploaded to: a job has them, or the server wants them no more. */
export const forget = (sources) => sources.forEach((source) => addressOf(source).set(null));

/**
 * Upload a file; resolve to the id of the finished upload. Raises ApiError, status null after an
 * abort, or TusUnsupported.
 * source: {name, field, type, file}. onProgress is called with the bytes that are uploaded.
 */
export async function uploadFile(url, source, onProgress, signal) {
  const address = addressOf(source);
  for (let failures = 0; ;) {
    let start = 0;
    try {
      let offset = address.get() ? await findOffset(address.get(), source, signal) : null;
      if (offset === null) {
        address.set(await create(url, source, signal));
        offset = 0;
      }
      start = offset;
      onProgress(offset);
      if (offset < source.file.size) await append(address.get(), source.file, offset, onProgress, signal);
      return address.get().split("/").pop();
    } catch (error) {
      const isTransient = error.status === 0 || CONFLICTS.includes(error.status);
      if (!isTransient) throw error;
      const reached = address.get() ? await findOffset(address.get(), source, signal).catch(() => start) : null;
      failures = reached > start ? 0 : failures + 1;
      if (failures >= RETRY_DELAYS_MS.length || !await isReadable(source.file)) throw error;
      await pause(RETRY_DELAYS_MS[failures], signal);
    }
  }
}

/** Resolve to the bytes that the server has, null when it does not know the upload. */
async function findOffset(address, { file }, signal) {
  const xhr = await send("HEAD", address, {}, null, { signal });
  const [offset, length] = ["Upload-Offset", "Upload-Length"].map((name) => Number(xhr.getResponseHeader(name) ?? NaN));
  if (xhr.status === 200 && length === file.size && offset <= length) return offset;
  if (xhr.status === 200 || [403, 404, 410].includes(xhr.status)) return null;
  throw toError(xhr);
}

async function create(url, { name, field, type, file }, signal) {
  const metadata = Object.entries({ filename: name, filetype: type, role: field })
    .map(([key, value]) => `${key} ${base64(value)}`).join(",");
  const headers = { "Upload-Length": file.size, "Upload-Metadata": metadata };
  const xhr = await send("POST", url, headers, null, { signal });
  const location = xhr.getResponseHeader("Location");
  if (xhr.status === 201 && location) return new URL(location, new URL(url, document.baseURI)).href;
  if (UNSUPPORTED.includes(xhr.status) || xhr.status < 400) throw new TusUnsupported();
  throw toError(xhr);
}

async function append(address, file, offset, onProgress, signal) {
  const headers = { ...OFFSET_TYPE, "Upload-Offset": offset };
  const onSent = (loaded) => onProgress(Math.min(offset + loaded, file.size));
  const xhr = await send("PATCH", address, headers, file.slice(offset), { signal, onSent });
  if ([405, 501].includes(xhr.status)) throw new TusUnsupported();
  if (xhr.status !== 204) throw toError(xhr);
}

/** Resolve to a finished XMLHttpRequest: fetch reports no upload progress. Raises ApiError. */
function send(method, url, headers, body, { signal, onSent = () => {} }) {
  const xhr = new XMLHttpRequest();
  const usedToken = token();
  const abort = () => xhr.abort();
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(cancelled());
    xhr.onload = () => resolve(xhr);
    xhr.onerror = () => reject(new ApiError(0, UNREACHABLE));
    xhr.onabort = () => reject(cancelled());
    xhr.upload.onprogress = (event) => onSent(event.loaded);
    signal.addEventListener("abort", abort);
    xhr.open(method, url);
    const named = { ...VERSION, ...headers, Authorization: `Bearer ${usedToken}` };
    for (const [name, value] of Object.entries(named)) xhr.setRequestHeader(name, value);
    xhr.send(body);
  }).finally(() => {
    signal.removeEventListener("abort", abort);
    if (xhr.status === 401) endSession(usedToken);
  });
}

const toError = (xhr) => toApiError(xhr.status, xhr.responseText, xhr.getResponseHeader("Retry-After"));
const cancelled = () => new ApiError(null, "Cancelled.");
const isReadable = (file) => file.slice(0, 1).arrayBuffer().then(() => true, () => false);

const base64 = (text) => btoa(String.fromCharCode(...new TextEncoder().encode(text)));

function pause(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener("abort", () => { clearTimeout(timer); reject(cancelled()); });
  });
}
