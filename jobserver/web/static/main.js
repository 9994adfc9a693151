// Entry point and router: shows the view that the URL names, or the sign-in form without a token.
//
// upload/   the form of a new job: choosing and checking files, options, the upload
// brief/    what shall vary: its fields, live pictures, the plan
// jobs/     the list of jobs, one job and its results, a variation beside its source
// access.js keys for programs, ending every session
// shared/   client of the API, session, polling, notifications; helpers for document and text

import * as access from "./access.js";
import * as job from "./jobs/job.js";
import * as jobs from "./jobs/list.js";
import { pageUrl } from "./shared/api.js";
import { showConnectionStatus } from "./shared/connection.js";
import { announce, byId, dismissConfirm, setText } from "./shared/dom.js";
import * as notifications from "./shared/notifications.js";
import { session, signedOut, token } from "./shared/session.js";
import * as signIn from "./sign_in.js";
import * as upload from "./upload/upload.js";

const VIEWS = {
  "sign-in": { heading: "sign-in-title", title: "Sign in · jobserver", open() {}, close() {} },
  home: { heading: "upload-title", title: "jobserver", open: openHome, close: jobs.close },
  access: { heading: "access-title", title: "Keys · jobserver", open: access.open, close: access.close },
  job: { heading: "job-title", title: "Job · jobserver", open: job.open, close: job.close },
};

let currentView = null;
let currentJobId = null;  // in the view of one job

function openHome() {
  upload.open();
  jobs.open();
}

/** Read the URL: {view, id}; the id stays percent-encoded, as URLs of the API need it. */
function route() {
  if (!token()) return { view: "sign-in" };
  const path = location.pathname.slice(pageUrl().length);
  if (path === "access") return { view: "access" };
  const [, id] = /^jobs\/([^/]+)$/.exec(path) ?? [];
  return id ? { view: "job", id } : { view: "home" };
}

/** fromHistory: after the browser's back or forward, which restores the scroll position. */
function showRoute({ focus = true, fromHistory = false } = {}) {
  const { view, id } = route();
  dismissConfirm();  // it asked about what was shown before
  if (currentView) VIEWS[currentView].close();
  showConnectionStatus(null);
  for (const name of Object.keys(VIEWS)) byId(name).hidden = name !== view;
  byId("tools").hidden = view === "sign-in";
  const previousJobId = fromHistory && currentJobId;
  [currentView, currentJobId] = [view, id];
  notifications.setTitle(VIEWS[view].title);
  VIEWS[view].open(id);
  if (view === "sign-in") byId("password").focus();
  else if (focus) moveFocus(view, previousJobId, fromHistory);
}

/** Focus the job in the list that was open before, or the view's heading. */
function moveFocus(view, previousJobId, preventScroll) {
  const link = view === "home" && previousJobId ? jobs.linkTo(previousJobId) : null;
  (link ?? byId(VIEWS[view].heading)).focus({ preventScroll });
}

/** Open links between views without a reload; clicks that open a new tab are left alone. */
function onLinkClick(event) {
  const link = event.target.closest?.("a[data-view]");
  const plain = event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey;
  if (!link || !plain) return;
  event.preventDefault();
  if (link.href !== location.href) history.pushState(null, "", link.href);
  showRoute();
  scrollTo(0, 0);
}

function onSignedOut({ detail }) {
  setText(byId("sign-in-reason"), detail.expired
    ? "Your session has ended. Sign in to continue where you were."
    : "Turn videos into creative variations.");
  jobs.forgetAll();
  notifications.forgetAll();
  showRoute();
  announce(byId("sign-in-reason").textContent);
}

async function signOut() {
  if (!(await upload.confirmStop())) return;
  signedOut({ expired: false });
  upload.reset();
  history.replaceState(null, "", pageUrl());
}

function init() {
  for (const module of [notifications, upload, jobs, signIn, access]) module.init();
  job.init(upload.makeAgain);
  byId("sign-out").addEventListener("click", signOut);
  session.addEventListener("in", () => showRoute());
  session.addEventListener("out", onSignedOut);
  // an event that is not trusted comes from navigate()
  addEventListener("popstate", ({ isTrusted }) => showRoute({ fromHistory: isTrusted }));
  document.addEventListener("click", onLinkClick);
  showRoute({ focus: false });
}

init();
