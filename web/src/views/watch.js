/** The model in the making: stages, how far, how long still; and what is to be said when it comes to nothing. */

import { phrase } from "../cloud/estimate.js";
import { meaning } from "../shelf/failures.js";
import { h, setAttribute, setText } from "../ui/dom.js";
import { duration, percent } from "../ui/format.js";
import { icon } from "../ui/icons.js";
import { rod } from "../ui/rod.js";
import { doing, STAGES } from "../ui/stages.js";
import { queueLine } from "./card.js";
import { plinth } from "./plinth.js";

/** @typedef {import("../cloud/rest.js").Job} Job */

/**
 * @param {{ onCancel: (() => void) | null, onRetry: () => void }} handlers `onCancel` null: only looking is allowed
 */
export function createWatch({ onCancel, onRetry }) {
  const picture = h("img", { alt: "", class: "watch-picture", hidden: true });
  const figure = h("p", { class: "watch-figure" });
  const line = h("p", { class: "watch-line", role: "status" });
  const left = h("p", { class: "watch-left" });
  const notice = h("p", { class: "watch-notice", hidden: true });
  const bar = rod("Progress");
  const notches = STAGES.map(([stage, label]) => ({ stage, ...notch(label) }));
  const stages = h("ol", { class: "stages", "aria-label": "Stages" }, ...notches.map(({ element }) => element));
  const cancel = onCancel && h("button", { type: "button", class: "button quiet", onclick: onCancel }, icon("close"), "Cancel");
  const making = h("div", { class: "watch-making" }, figure, line, bar.element, left, notice, stages, cancel);
  const failure = createFailure(onRetry);
  const seen = createStopwatch();
  const element = h("div", { class: "watch" }, h("div", { class: "watch-niche" }, plinth({ guest: false }), picture), making, failure.element);

  return {
    element,
    /**
     * @param {Job} job
     * @param {{ sent: number | null, thumbnail: string | null, canRetry: boolean, secondsLeft: number | null }} more
     */
    show(job, { sent, thumbnail, canRetry, secondsLeft }) {
      const ended = job.status === "failed" || job.status === "canceled" || (job.status === "awaiting_upload" && sent === null);
      if (thumbnail && picture.getAttribute("src") !== thumbnail) picture.src = thumbnail;
      picture.hidden = !thumbnail;
      making.hidden = ended;
      failure.element.hidden = !ended;
      if (ended) return failure.show(job, canRetry);

      const fraction = job.status === "awaiting_upload" ? (sent ?? 0) : job.progress;
      setText(figure, percent(fraction));
      setText(line, lineOf(job));
      bar.set(fraction, `${lineOf(job)}, ${percent(fraction)}`);
      setText(left, secondsLeft === null ? "" : `${phrase(secondsLeft)} left`);
      setText(notice, job.attempt > 1 && job.notice ? `Try ${job.attempt}: ${job.notice.message}` : "");
      notice.hidden = notice.textContent === "";
      const at = STAGES.findIndex(([stage]) => stage === job.stage);
      seen.note(job);
      notches.forEach((one, index) => {
        const state = at < 0 || index > at ? "ahead" : index === at ? "now" : "done";
        one.set(state, job.timings[one.stage] ?? seen.seconds(one.stage, STAGES[index + 1]?.[0]));
      });
    },
  };
}

/**
 * @param {Job} job
 * @returns {string}
 */
function lineOf(job) {
  if (job.status === "awaiting_upload") return "Sending the photo";
  return job.status === "queued" ? queueLine(job) : doing(job.stage);
}

/** The record has no times before the job has ended: until then, what this page has seen itself. */
function createStopwatch() {
  /** @type {Map<string, number>} stage → when it was first seen, milliseconds */
  const began = new Map();
  let attempt = 0;
  return {
    /** @param {Job} job */
    note(job) {
      if (job.attempt !== attempt) began.clear();
      attempt = job.attempt;
      if (job.stage && !began.has(job.stage)) began.set(job.stage, performance.now());
    },
    /**
     * @param {string} stage
     * @param {string | undefined} next
     * @returns {number | undefined} undefined where one of the two was not seen to begin, as after a reload
     */
    seconds(stage, next) {
      const [from, to] = [began.get(stage), began.get(next ?? "")];
      return from === undefined || to === undefined ? undefined : (to - from) / 1000;
    },
  };
}

/** @param {string} label */
function notch(label) {
  const seconds = h("span", { class: "notch-seconds" });
  const element = h("li", { class: "notch" }, h("span", { class: "notch-name" }, label), seconds);
  return {
    element,
    /**
     * @param {"ahead" | "now" | "done"} state
     * @param {number | undefined} taken
     */
    set(state, taken) {
      setAttribute(element, "data-state", state);
      setAttribute(element, "aria-current", state === "now" ? "step" : null);
      setText(seconds, taken === undefined ? "" : duration(taken));
    },
  };
}

/** @param {() => void} onRetry */
function createFailure(onRetry) {
  const title = h("h2");
  const message = h("p", { class: "failure-message" });
  const advice = h("p");
  const code = h("p", { class: "failure-code" });
  const retry = h("button", { type: "button", class: "button", onclick: onRetry }, icon("retry"), "Try again");
  const other = h("a", { class: "button quiet", href: "#/" }, "Choose another photo");
  const element = h("div", { class: "failure", hidden: true }, title, message, advice, code, h("div", { class: "failure-ways" }, retry, other));
  return {
    element,
    /**
     * @param {Job} job
     * @param {boolean} canRetry
     */
    show(job, canRetry) {
      const found = job.error ? meaning(job.error.code) : null;
      const waiting = job.status === "awaiting_upload";
      setText(title, found?.title ?? (waiting ? "The photo has not arrived" : "Canceled"));
      setText(message, job.error?.message ?? (waiting ? "It is not being sent from this page." : "You stopped this one."));
      setText(advice, found?.advice ?? (canRetry ? "The photo is still at hand here: it can be sent again." : ""));
      setText(code, job.error ? job.error.code : "");
      retry.hidden = !canRetry;
    },
  };
}
