/** Brings the parts together and shows the page that the address names. */

import { loadConfig } from "./cloud/config.js";
import { Live } from "./cloud/live.js";
import { Rest } from "./cloud/rest.js";
import { Session } from "./cloud/session.js";
import { jobAddress, parse } from "./router.js";
import { meaning } from "./shelf/failures.js";
import { Intake } from "./shelf/intake.js";
import { Keepsakes } from "./shelf/keepsakes.js";
import { Shelf } from "./shelf/shelf.js";
import { announce, mountAnnouncer } from "./ui/announce.js";
import { ask } from "./ui/dialog.js";
import { h } from "./ui/dom.js";
import { createHeader } from "./views/header.js";
import { createHome } from "./views/home.js";
import { createJobPage } from "./views/job.js";
import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/controls.css";
import "./styles/home.css";
import "./styles/job.css";

/**
 * What the pages work with. A guest has a share link's token, sees one job and may change nothing.
 *
 * @typedef {object} Studio
 * @property {Rest} rest
 * @property {Live} live
 * @property {Shelf} shelf
 * @property {Intake} intake
 * @property {Keepsakes} keepsakes
 * @property {boolean} guest
 * @property {(job: import("./cloud/rest.js").Job) => Promise<string | null>} tryAgain sends the photo of a job once
 *   more, in its place; the address of the new job, null when the photo is not at hand any more
 */

/** @typedef {{ rest: string, socket: string }} Config */

const keepsakes = new Keepsakes();

/**
 * @param {Config} config
 * @returns {Promise<Studio>}
 */
async function openOwn(config) {
  const session = new Session(config);
  await begin(session);
  const rest = new Rest(config, { session });
  const studio = furnish(rest, new Live({ config, rest, token: () => session.token() }), false);
  void studio.shelf.refresh(); // not only once the live line stands: that may take a while, or never come
  return studio;
}

/**
 * @param {Config} config
 * @param {string} jobId
 * @param {string} token
 * @returns {Studio}
 */
function openShared(config, jobId, token) {
  const rest = new Rest(config, { token });
  return furnish(rest, new Live({ config, rest, token: () => Promise.resolve(token), jobId }), true);
}

/**
 * @param {Rest} rest
 * @param {Live} live
 * @param {boolean} guest
 * @returns {Studio}
 */
function furnish(rest, live, guest) {
  const shelf = new Shelf(rest, live, { alone: guest });
  const intake = new Intake(rest, shelf, keepsakes);
  return { rest, live, shelf, intake, keepsakes, guest, tryAgain };

  /** @param {import("./cloud/rest.js").Job} job */
  async function tryAgain(job) {
    const keepsake = await keepsakes.find(job.job_id);
    if (!keepsake) return null;
    const draft = await intake.take(keepsake.file, job.options);
    if (draft.error) return null;
    await shelf.remove(job.job_id);
    await keepsakes.forget(job.job_id);
    return draft.jobId && jobAddress(draft.jobId);
  }
}

/**
 * A session, with the access key where this place asks for one.
 *
 * @param {Session} session
 */
async function begin(session) {
  let text = "This studio is not open to everyone.";
  for (;;) {
    try {
      return await session.token();
    } catch (error) {
      const { code, message } = /** @type {import("./cloud/errors.js").CloudError} */ (error);
      if (code !== "access_key_required") throw error;
      const key = await ask({ title: "Access key", text, label: "Your key", action: "Come in", type: "password" });
      if (key === null) throw error;
      text = message;
      await session.renew(key).catch((refusal) => {
        if (refusal.code !== "access_key_required") throw refusal;
        text = "That key does not fit.";
      });
    }
  }
}

async function start() {
  const app = document.querySelector("#app");
  if (!app) throw new Error("index.html has no #app");
  const header = createHeader();
  const main = h("main", { id: "main" });
  app.append(h("a", { class: "skip", href: "#main", onclick: skip }, "To the content"), header.element, main);
  mountAnnouncer(app);

  /** @type {Config | null} */
  let config = null;
  /** @type {Promise<Studio> | null} */
  let own = null;
  /** @type {Studio | null} */
  let present = null;
  /** @type {{ element: HTMLElement, dispose(): void } | null} */
  let page = null;
  let turn = 0;

  /** @param {Event} event */
  function skip(event) {
    event.preventDefault(); // the fragment is the page's address here
    main.querySelector("h1")?.focus();
  }

  /** @param {ReturnType<typeof parse>} route */
  async function studioFor(route) {
    config ??= await loadConfig();
    if (route.view === "shared") return openShared(config, route.jobId, route.token);
    own ??= openOwn(config);
    return own.catch((error) => {
      own = null;
      throw error;
    });
  }

  async function show(first = false) {
    const route = parse(location.hash);
    const mine = (turn += 1);
    page?.dispose();
    page = null;
    try {
      const studio = await studioFor(route);
      if (mine !== turn) return;
      if (present !== studio) {
        present?.live.stop();
        present = studio;
        header.follow(studio.live);
        studio.live.start();
      }
      page = route.view === "home" ? createHome(studio) : route.view === "nowhere" ? nowhere() : createJobPage(studio, route.jobId);
      main.replaceChildren(page.element);
    } catch (error) {
      if (mine !== turn) return;
      main.replaceChildren(trouble(error, () => void show()));
    }
    if (!first) {
      window.scrollTo(0, 0);
      main.querySelector("h1")?.focus({ preventScroll: true });
    }
  }

  window.addEventListener("hashchange", () => void show());
  await show(true);
  void keepsakes.tidy();
}

function nowhere() {
  document.title = "Nothing here · Maquette";
  const element = h("div", { class: "failure" }, h("h1", { tabindex: -1 }, meaning("not_found").title), h("p", null, "This address leads nowhere."), h("a", { class: "button", href: "#/" }, "Go to your shelf"));
  return { element, dispose: () => undefined };
}

/**
 * @param {unknown} error
 * @param {() => void} again
 */
function trouble(error, again) {
  const { code = "", message } = /** @type {{ code?: string, message: string }} */ (error);
  const { title, advice } = meaning(code);
  announce(title);
  return h("div", { class: "failure" }, h("h1", { tabindex: -1 }, title), h("p", { class: "failure-message" }, message), h("p", null, advice), h("button", { type: "button", class: "button", onclick: again }, "Try again"));
}

void start();
