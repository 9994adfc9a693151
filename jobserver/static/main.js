// Which view is shown: by the address, once somebody is signed in.
//
// api, session   the server and who asks it        upload, send   videos on their way
// poll, notify   asking again, saying what ended   jobs           the list
// dom, format    the document, words for numbers   job, compare   one job and its results
// trouble        when the server does not answer   storage        what the browser keeps

import { apiUrl, call, pageUrl } from "./api.js";
import { announce, byId, setText, takeBack } from "./dom.js";
import { duration } from "./format.js";
import * as job from "./job.js";
import * as jobs from "./jobs.js";
import * as notify from "./notify.js";
import { session, signedIn, signedOut, token } from "./session.js";
import { showTrouble } from "./trouble.js";
import * as upload from "./upload.js";

const VIEWS = {
  "sign-in": { heading: "sign-in-title", title: "Sign in · jobserver", open() {}, close() {} },
  home: { heading: "upload-title", title: "jobserver", open: openHome, close: jobs.close },
  job: { heading: "job-title", title: "Job · jobserver", open: job.open, close: job.close },
};

let shown = null;  // a view
let shownId = null;  // of the job, in its view

function openHome() {
  upload.open();
  jobs.open();
}

/** Read the address: {view, id}; the id as it stands there, for an address of the API. */
function route() {
  if (!token()) return { view: "sign-in" };
  const [, id] = /^jobs\/([^/]+)$/.exec(location.pathname.slice(pageUrl().length)) ?? [];
  return id ? { view: "job", id } : { view: "home" };
}

/** back: whether it is the browser that goes there, which scrolls to where the person was. */
function showRoute({ focus = true, back = false } = {}) {
  const { view, id } = route();
  takeBack();  // it was asked about what is no longer shown
  if (shown) VIEWS[shown].close();
  showTrouble(null);
  for (const name of Object.keys(VIEWS)) byId(name).hidden = name !== view;
  byId("tools").hidden = view === "sign-in";
  const left = back && shownId;
  [shown, shownId] = [view, id];
  notify.setTitle(VIEWS[view].title);
  VIEWS[view].open(id);
  if (view === "sign-in") byId("password").focus();
  else if (focus) focusIn(view, left, back);
}

function focusIn(view, left, preventScroll) {
  const link = view === "home" && left ? jobs.linkTo(left) : null;
  (link ?? byId(VIEWS[view].heading)).focus({ preventScroll });
}

function follow(event) {
  const link = event.target.closest?.("a[data-view]");
  const plain = event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey;
  if (!link || !plain) return;
  event.preventDefault();
  if (link.href !== location.href) history.pushState(null, "", link.href);
  showRoute();
  scrollTo(0, 0);
}

// -- signing in and out -------------------------------------------------------

async function signIn(event) {
  event.preventDefault();
  const password = byId("password").value;
  if (!password) return refuse("Enter the password.");
  byId("sign-in-button").disabled = true;
  try {
    const answer = await call("POST", apiUrl("auth"), { password });
    byId("sign-in-form").reset();
    setText(byId("sign-in-error"), "");
    byId("sign-in-button").disabled = false;
    signedIn(answer.token);
  } catch (error) {
    refuseWith(error);
  }
}

function refuse(sentence) {
  setText(byId("sign-in-error"), sentence);
  byId("password").focus();
  byId("password").select();
}

function refuseWith(error) {
  const button = byId("sign-in-button");
  if (error.status === 429 && error.retryAfter) return countDown(error.retryAfter);
  button.disabled = false;
  refuse(error.status === 401 ? "This is not the password." : error.message);
}

/** Too many tries: say it once for all, then count on the button. */
function countDown(seconds) {
  const button = byId("sign-in-button");
  refuse(`Too many wrong passwords. Try again in ${duration(seconds)}.`);
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

function onSignedOut({ detail }) {
  setText(byId("sign-in-reason"), detail.expired
    ? "Your session has ended. Sign in to go on where you were."
    : "Turn videos into measured creative variations.");
  jobs.forget();
  notify.forget();
  showRoute();
  announce(byId("sign-in-reason").textContent);
}

async function signOut() {
  if (!(await upload.mayStop())) return;
  signedOut({ expired: false });
  upload.clear();
  history.replaceState(null, "", pageUrl());
}

function init() {
  for (const part of [notify, upload, jobs, job]) part.init();
  byId("sign-in-form").addEventListener("submit", signIn);
  byId("sign-out").addEventListener("click", signOut);
  session.addEventListener("in", () => showRoute());
  session.addEventListener("out", onSignedOut);
  addEventListener("popstate", ({ isTrusted }) => showRoute({ back: isTrusted }));  // else go()
  document.addEventListener("click", follow);
  showRoute({ focus: false });
}

init();
