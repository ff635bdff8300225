/** A card on the shelf: one photo, from the moment it is chosen. */

import { phrase } from "../cloud/estimate.js";
import { jobAddress } from "../router.js";
import { meaning } from "../shelf/failures.js";
import { h, setAttribute, setText } from "../ui/dom.js";
import { moment, percent } from "../ui/format.js";
import { icon } from "../ui/icons.js";
import { rod } from "../ui/rod.js";
import { doing } from "../ui/stages.js";
import { plinth } from "./plinth.js";

/** @typedef {import("../cloud/rest.js").Job} Job */
/** @typedef {import("../shelf/intake.js").Draft} Draft */

/**
 * What a card shows; made from a draft or a job by the functions below.
 *
 * @typedef {object} CardModel
 * @property {string} title
 * @property {string} status one of the job's states, or `draft`, or `refused`
 * @property {string} line
 * @property {string} [figures] how far, and how long still
 * @property {string} [help] what went wrong, in a sentence
 * @property {number | null} fraction 0..1 while something moves
 * @property {string | null} picture
 * @property {string | null} jobId
 * @property {{ label: string, icon: "close" | "trash" }} removal
 * @property {string | null} retry label of the button that tries again
 */

/**
 * @param {{ onRemove: () => void, onRetry: () => void, onPictureLost: () => void }} handlers
 */
export function createCard({ onRemove, onRetry, onPictureLost }) {
  const picture = h("img", { alt: "", class: "card-picture", loading: "lazy", decoding: "async", width: 320, height: 320, hidden: true, onerror: lose });
  const title = h("a", { class: "card-title" });
  const line = h("p", { class: "card-line" });
  const figures = h("p", { class: "card-line" });
  const help = h("p", { class: "card-help", hidden: true });
  const bar = rod("Progress");
  const retry = h("button", { type: "button", class: "button small", hidden: true, onclick: onRetry });
  const removal = h("button", { type: "button", class: "icon-button card-remove", onclick: onRemove });
  const element = h(
    "article",
    { class: "card" },
    h("div", { class: "card-niche" }, plinth({ guest: false }), picture),
    h("div", { class: "card-text" }, title, line, bar.element, figures, help, retry),
    removal,
  );
  let shownIcon = "";
  let lost = "";

  function lose() {
    lost = picture.src;
    picture.hidden = true; // rather an empty plinth than a broken picture
    onPictureLost();
  }

  /** @param {string | null} url */
  function showPicture(url) {
    // A link is made anew with every answer; the picture behind it is the same, and stays if it is here.
    const same = url?.split("?")[0] === picture.src.split("?")[0] && picture.naturalWidth > 0;
    if (url && !same && picture.src !== url) picture.src = url;
    picture.hidden = !url || picture.src === lost;
  }

  return {
    element,
    /** @param {CardModel} model */
    show(model) {
      setAttribute(element, "data-status", model.status);
      setAttribute(element, "data-job-id", model.jobId);
      setText(title, model.title);
      setAttribute(title, "href", model.jobId ? jobAddress(model.jobId) : null);
      setText(line, model.line);
      setText(figures, model.figures ?? "");
      figures.hidden = !model.figures;
      setText(help, model.help ?? "");
      help.hidden = !model.help;
      bar.element.hidden = model.fraction === null;
      bar.set(model.fraction ?? 0, `${model.line}, ${model.figures ?? ""}`);
      setAttribute(bar.element, "aria-label", `Progress of ${model.title}`);
      showPicture(model.picture);
      retry.hidden = model.retry === null;
      setText(retry, model.retry ?? "");
      setAttribute(removal, "aria-label", `${model.removal.label} ${model.title}`);
      setAttribute(removal, "title", model.removal.label);
      if (shownIcon !== model.removal.icon) {
        removal.replaceChildren(icon(model.removal.icon));
        shownIcon = model.removal.icon;
      }
    },
  };
}

/**
 * @param {Draft} draft
 * @returns {CardModel}
 */
export function modelOfDraft(draft) {
  const lines = { examining: "Looking at the photo", announcing: "Sending", sending: "Sending", sent: "Sent", refused: "", failed: "" };
  const trouble = draft.error ? meaning(draft.error.code) : null;
  return {
    title: draft.file.name || "photo",
    status: trouble ? "refused" : "draft",
    line: trouble ? trouble.title : lines[draft.state],
    figures: trouble ? undefined : percent(draft.sent),
    help: draft.error?.message,
    fraction: trouble ? null : draft.sent,
    picture: draft.preview,
    jobId: null,
    removal: { label: trouble ? "Put aside" : "Stop sending", icon: "close" },
    retry: draft.state === "failed" ? "Try again" : null,
  };
}

/**
 * @param {Job} job
 * @param {{ draft?: Draft, thumbnail: string | null, canRetry: boolean, secondsLeft: number | null }} more
 * @returns {CardModel}
 */
export function modelOfJob(job, { draft, thumbnail, canRetry, secondsLeft }) {
  const alive = job.status === "awaiting_upload" || job.status === "queued" || job.status === "running";
  const left = secondsLeft === null ? "" : `, ${phrase(secondsLeft)} left`;
  const figures = `${percent(draft ? draft.sent : job.progress)}${left}`;
  /** @type {CardModel} */
  const model = {
    title: job.source.filename,
    status: job.status,
    line: "",
    fraction: alive ? job.progress : null,
    picture: job.poster_url ?? thumbnail,
    jobId: job.job_id,
    removal: alive ? { label: "Cancel", icon: "close" } : { label: "Delete", icon: "trash" },
    retry: null,
  };
  switch (job.status) {
    case "awaiting_upload":
      if (draft) return { ...model, line: draft.state === "sent" ? "Sent" : "Sending", figures, fraction: draft.sent };
      return { ...model, line: "The photo has not arrived", fraction: null, retry: canRetry ? "Send it again" : null };
    case "queued":
      return { ...model, line: queueLine(job), figures, help: job.notice?.message };
    case "running":
      return { ...model, line: doing(job.stage), figures };
    case "succeeded":
      return { ...model, line: `Ready, ${moment(job.created_at)}` };
    case "failed":
      return { ...model, line: meaning(job.error?.code ?? "").title, help: job.error?.message, retry: canRetry ? "Try again" : null };
    default:
      return { ...model, line: `Canceled, ${moment(job.created_at)}`, retry: canRetry ? "Try again" : null };
  }
}

/**
 * @param {Job} job
 * @returns {string}
 */
export function queueLine(job) {
  if (!job.queue_position) return "In the queue";
  return job.queue_position === 1 ? "Next in the queue" : `Number ${job.queue_position} in the queue`;
}
