/** The shelf: a card for every photo of this session, newest first, in pages without end. */

import { meaning } from "../shelf/failures.js";
import { TERMINAL } from "../shelf/shelf.js";
import { announce } from "../ui/announce.js";
import { confirm } from "../ui/dialog.js";
import { h } from "../ui/dom.js";
import { createCard, modelOfDraft, modelOfJob } from "./card.js";

/** @typedef {import("../cloud/rest.js").Job} Job */
/** @typedef {import("../shelf/intake.js").Draft} Draft */
/** @typedef {ReturnType<typeof createCard>} Card */

/** milliseconds between two updates of the time that is left */
const TICK = 1000;

/**
 * @param {import("../main.js").Studio} studio
 * @returns {{ element: HTMLElement, dispose(): void }}
 */
export function createGallery(studio) {
  const { shelf, intake, keepsakes } = studio;
  const list = h("div", { class: "shelf", role: "list", "aria-labelledby": "shelf-title" });
  const note = h("div", { class: "shelf-note" });
  const more = h("button", { type: "button", class: "button quiet shelf-more", hidden: true, onclick: () => void loadMore() }, "Show more");
  const element = h("section", { class: "gallery", "aria-labelledby": "shelf-title" }, h("h2", { id: "shelf-title" }, "Your shelf"), list, note, more);

  /** @type {Map<string, { card: Card, slot: HTMLElement }>} by draft key, or by job id once there is one */
  const cards = new Map();
  /** @type {Map<string, import("../shelf/keepsakes.js").Keepsake | null>} */
  const kept = new Map();
  /** @type {Set<string>} jobs whose poster was asked for anew since its link had ended */
  const renewed = new Set();
  const leaving = new AbortController();
  const { signal } = leaving;

  /** @param {Draft | Job} thing */
  const keyOf = (thing) => ("job_id" in thing ? thing.job_id : (thing.jobId ?? thing.key));

  /** @param {Draft | Job} thing */
  function cardOf(thing) {
    const key = keyOf(thing);
    const known = cards.get(key) ?? adopted(key);
    if (known) return known;
    const card = createCard({
      onRemove: () => void remove(currentKey(made)),
      onRetry: () => void retry(currentKey(made)),
      onPictureLost: () => renewPoster(currentKey(made)),
    });
    const made = { card, slot: h("div", { role: "listitem", class: "slot" }, card.element) };
    cards.set(key, made);
    return made;
  }

  /**
   * A draft's card becomes its job's: the same element, so that nothing jumps.
   *
   * @param {string} key
   */
  function adopted(key) {
    const draft = intake.draftOf(key);
    const found = draft && cards.get(draft.key);
    if (!draft || !found) return undefined;
    cards.delete(draft.key);
    cards.set(key, found);
    return found;
  }

  /** @param {{ card: Card }} wanted */
  function currentKey(wanted) {
    for (const [key, value] of cards) if (value === wanted) return key;
    return "";
  }

  function draftsWithoutJob() {
    return [...intake.drafts].filter((draft) => !draft.jobId || !shelf.job(draft.jobId)).reverse();
  }

  /**
   * A new job may be heard of over the live line before the answer that announces it is here: until then nobody knows
   * that it is the job of a draft, and the photo would stand here twice.
   *
   * @param {Job} job
   */
  function isOfDraft(job) {
    const announcing = [...intake.drafts].some((draft) => draft.state === "announcing");
    return announcing && job.status === "awaiting_upload" && !cards.has(job.job_id);
  }

  function layOut() {
    const things = [...draftsWithoutJob(), ...shelf.jobs.filter((job) => !isOfDraft(job))];
    const wanted = new Set(things.map(keyOf));
    things.forEach((thing, index) => {
      const { slot } = cardOf(thing);
      show(thing);
      if (list.children[index] !== slot) list.insertBefore(slot, list.children[index] ?? null);
    });
    for (const [key, { slot }] of cards) {
      if (wanted.has(key)) continue;
      slot.remove();
      cards.delete(key);
    }
    showState(things.length);
  }

  /** @param {Draft | Job} thing */
  function show(thing) {
    const { card } = cardOf(thing);
    if (!("job_id" in thing)) return card.show(modelOfDraft(thing));
    const draft = intake.draftOf(thing.job_id);
    if (!kept.has(thing.job_id) && thing.status !== "succeeded") void recall(thing.job_id);
    const keepsake = kept.get(thing.job_id);
    const thumbnail = draft?.preview ?? keepsake?.thumbnail ?? null;
    card.show(modelOfJob(thing, { draft, thumbnail, canRetry: !!keepsake, secondsLeft: shelf.secondsLeft(thing) }));
  }

  /** @param {string} jobId */
  async function recall(jobId) {
    kept.set(jobId, null);
    kept.set(jobId, await keepsakes.find(jobId));
    const job = shelf.job(jobId);
    if (job && kept.get(jobId) && !signal.aborted) show(job);
  }

  /** @param {number} count */
  function showState(count) {
    more.hidden = !shelf.hasMore;
    list.hidden = count === 0;
    note.hidden = count > 0 && shelf.state !== "failed";
    if (shelf.state === "failed") {
      const { title, advice } = meaning(shelf.error?.code ?? "");
      note.replaceChildren(
        h("p", { class: "note-title" }, title),
        h("p", null, shelf.error?.message ?? advice),
        h("button", { type: "button", class: "button", onclick: () => void shelf.refresh() }, "Try again"),
      );
    } else if (shelf.state === "ready") {
      note.replaceChildren(h("p", { class: "note-title" }, "The shelf is empty"), h("p", null, "Your models will stand here, newest first. They are kept for 30 days."));
    } else {
      note.replaceChildren(h("p", { class: "note-title waiting" }, "Looking along the shelf …"));
    }
  }

  async function loadMore() {
    try {
      await shelf.more();
    } catch (error) {
      announce(/** @type {Error} */ (error).message);
    }
  }

  /** @param {string} key */
  async function remove(key) {
    const draft = [...intake.drafts].find((one) => one.key === key || one.jobId === key);
    try {
      if (draft) return await intake.putAside(draft);
      const job = shelf.job(key);
      if (!job) return undefined;
      const question = { title: `Delete ${job.source.filename}?`, text: "The model and all its files are gone for good.", action: "Delete" };
      if (!TERMINAL.has(job.status)) return await shelf.cancel(key);
      if (!(await confirm(question))) return undefined;
      await shelf.remove(key);
      await keepsakes.forget(key);
    } catch (error) {
      announce(/** @type {Error} */ (error).message);
    }
    return undefined;
  }

  /** @param {string} key */
  async function retry(key) {
    const draft = [...intake.drafts].find((one) => one.key === key);
    if (draft) return intake.again(draft);
    const job = shelf.job(key);
    return job && studio.tryAgain(job);
  }

  /** @param {string} jobId */
  function renewPoster(jobId) {
    const job = shelf.job(jobId);
    if (!job?.poster_url || renewed.has(jobId)) return;
    renewed.add(jobId); // once: a picture that is really gone would be asked for without end
    void shelf.look(jobId).catch(() => undefined);
  }

  for (const type of ["added", "removed", "state"]) shelf.addEventListener(type, layOut, { signal });
  for (const type of ["added", "removed"]) intake.addEventListener(type, layOut, { signal });
  shelf.addEventListener(
    "change",
    (event) => {
      const job = shelf.job(/** @type {CustomEvent<string>} */ (event).detail);
      if (job && cards.has(job.job_id)) show(job);
    },
    { signal },
  );
  intake.addEventListener(
    "change",
    (event) => {
      const draft = /** @type {CustomEvent<Draft>} */ (event).detail;
      const job = draft.jobId ? shelf.job(draft.jobId) : undefined;
      if (cards.has(job ? job.job_id : draft.key)) show(job ?? draft);
      else layOut();
    },
    { signal },
  );
  const ticking = setInterval(() => shelf.jobs.filter((job) => !TERMINAL.has(job.status)).forEach(show), TICK);
  const sentinel = new IntersectionObserver((seen) => seen.some((entry) => entry.isIntersecting) && void loadMore(), { rootMargin: "600px" });
  sentinel.observe(more);
  layOut();

  return {
    element,
    dispose() {
      leaving.abort();
      clearInterval(ticking);
      sentinel.disconnect();
    },
  };
}
