/** The page of one job: watched while it is made, turned and taken home when it is there. */

import { Artifacts } from "../cloud/artifacts.js";
import { meaning } from "../shelf/failures.js";
import { TERMINAL } from "../shelf/shelf.js";
import { announce } from "../ui/announce.js";
import { confirm } from "../ui/dialog.js";
import { h, setAttribute, setText } from "../ui/dom.js";
import { moment, percent } from "../ui/format.js";
import { icon } from "../ui/icons.js";
import { createTake } from "./take.js";
import { createWatch } from "./watch.js";

/** @typedef {import("../cloud/rest.js").Job} Job */

/** milliseconds between two updates of the time that is left */
const TICK = 1000;

/**
 * @param {import("../main.js").Studio} studio its shelf holds this one job alone where it was shared
 * @param {string} jobId
 * @returns {{ element: HTMLElement, dispose(): void }}
 */
export function createJobPage(studio, jobId) {
  const { shelf, intake, keepsakes, guest } = studio;
  const title = h("h1", { class: "job-title", tabindex: -1 });
  const when = h("p", { class: "job-when" });
  const removal = h("button", { type: "button", class: "button quiet", hidden: true, onclick: () => void remove() }, icon("trash"), "Delete");
  const stage = h("div", { class: "job-stage" });
  const head = h(
    "div",
    { class: "job-head" },
    guest ? h("p", { class: "job-guest" }, "Shared with you") : h("a", { class: "job-back", href: "#/" }, icon("back"), "Your shelf"),
    h("div", { class: "job-names" }, title, when),
    guest ? null : removal,
  );
  const element = h("div", { class: "job", "data-view": "job", "data-job-id": jobId }, head, stage);
  const watch = createWatch({ onCancel: guest ? null : () => void remove(), onRetry: () => void retry() });

  /** @type {import("../shelf/keepsakes.js").Keepsake | null} */
  let keepsake = null;
  /** @type {{ dispose(): void } | null} */
  let turn = null;
  let shown = "";
  const leaving = new AbortController();
  const { signal } = leaving;

  function show() {
    const job = shelf.job(jobId);
    if (!job || signal.aborted) return;
    setAttribute(element, "data-status", job.status);
    setAttribute(element, "data-stage", job.status === "running" ? job.stage : null);
    setText(title, job.source.filename);
    setText(when, moment(job.created_at));
    removal.hidden = !TERMINAL.has(job.status);
    document.title = `${job.status === "running" ? `${percent(job.progress)} ` : ""}${job.source.filename} · Maquette`;
    if (job.status === "succeeded") return void present(job);
    const draft = intake.draftOf(jobId);
    watch.show(job, {
      sent: draft ? draft.sent : null,
      thumbnail: draft?.preview ?? keepsake?.thumbnail ?? null,
      canRetry: keepsake !== null && !guest,
      secondsLeft: shelf.secondsLeft(job),
    });
    put("watch", watch.element);
  }

  /**
   * @param {string} name
   * @param {...Node} content
   */
  function put(name, ...content) {
    if (shown === name) return;
    shown = name;
    stage.replaceChildren(...content);
  }

  /** @param {Job} job */
  async function present(job) {
    if (shown === "model" || shown === "opening") return;
    put("opening", h("div", { class: "job-opening" }, h("p", { class: "waiting" }, "Unwrapping …")));
    try {
      // three.js comes with this import, and only where there is a model to show.
      const [{ createTurn }, artifacts] = await Promise.all([import("../turn/turn.js"), Artifacts.of(studio.rest, jobId)]);
      const manifest = JSON.parse(await (await artifacts.fetch("manifest.json", { signal })).text());
      if (signal.aborted) return;
      const made = createTurn({ job, artifacts, manifest });
      turn = made;
      put("model", made.element, createTake({ job, artifacts, sharing: guest ? null : sharing(studio.rest, jobId) }));
      announce(`${job.source.filename} is ready.`);
      await keepsakes.forget(jobId);
    } catch (error) {
      if (!signal.aborted) refuse(error, show);
    }
  }

  /**
   * @param {unknown} error
   * @param {() => void} again
   */
  function refuse(error, again) {
    const { code = "internal_error", message } = /** @type {{ code?: string, message: string }} */ (error);
    const gone = code === "not_found" || code === "unauthorized";
    setAttribute(element, "data-status", gone ? "not_found" : "trouble");
    setText(title, gone ? meaning(code).title : "This page could not be made ready");
    document.title = `${title.textContent} · Maquette`;
    shown = "";
    put(
      "refusal",
      h(
        "div",
        { class: "failure" },
        h("p", { class: "failure-message" }, message),
        h("p", null, meaning(code).advice),
        h("div", { class: "failure-ways" }, gone ? h("a", { class: "button", href: "#/" }, "Go to your shelf") : h("button", { type: "button", class: "button", onclick: again }, icon("retry"), "Try again")),
      ),
    );
  }

  async function open() {
    try {
      await shelf.look(jobId);
      if (!guest) keepsake = await keepsakes.find(jobId);
      show();
    } catch (error) {
      if (!signal.aborted) refuse(error, () => void open());
    }
  }

  async function remove() {
    const job = shelf.job(jobId);
    if (!job) return;
    const ended = TERMINAL.has(job.status);
    const question = { title: `Delete ${job.source.filename}?`, text: "The model and all its files are gone for good.", action: "Delete" };
    if (ended && !(await confirm(question))) return;
    try {
      const draft = intake.draftOf(jobId);
      if (draft) return await intake.putAside(draft);
      if (!ended) return await shelf.cancel(jobId);
      await shelf.remove(jobId);
      await keepsakes.forget(jobId);
      location.hash = "#/";
    } catch (error) {
      announce(/** @type {Error} */ (error).message);
    }
  }

  async function retry() {
    const job = shelf.job(jobId);
    const made = job && (await studio.tryAgain(job));
    if (made) location.hash = made;
  }

  shelf.addEventListener("change", (event) => /** @type {CustomEvent<string>} */ (event).detail === jobId && show(), { signal });
  shelf.addEventListener("added", (event) => /** @type {CustomEvent<string>} */ (event).detail === jobId && show(), { signal });
  intake.addEventListener("change", show, { signal });
  // The job is gone, or the link to it has ended: REST says which.
  studio.live.addEventListener("refused", () => void open(), { signal });
  const ticking = setInterval(() => shown === "watch" && show(), TICK);
  void open();

  return {
    element,
    dispose() {
      leaving.abort();
      clearInterval(ticking);
      turn?.dispose();
    },
  };
}

/**
 * @param {import("../cloud/rest.js").Rest} rest
 * @param {string} jobId
 * @returns {import("./share.js").Sharing}
 */
function sharing(rest, jobId) {
  return { share: () => rest.share(jobId), stop: () => rest.stopSharing(jobId) };
}
