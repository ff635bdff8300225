/**
 * Photos on their way to the cloud: looked at, announced, sent. Each is a draft until its job takes over.
 *
 * Events: `added`, `change`, `removed` (detail: the draft).
 */

import { examine, thumbnail } from "../cloud/photo.js";
import { upload } from "../cloud/upload.js";

/** @typedef {"examining" | "announcing" | "sending" | "sent" | "refused" | "failed"} DraftState */

let count = 0;

export class Draft {
  key = `draft-${(count += 1)}`;
  /** @type {DraftState} */
  state = "examining";
  /** @type {string | null} */
  preview = null;
  /** share that has been sent, 0..1 */
  sent = 0;
  /** @type {{ code: string, message: string } | null} */
  error = null;
  /** @type {string | null} */
  jobId = null;
  stopping = new AbortController();

  /**
   * @param {File} file
   * @param {Record<string, unknown>} options
   */
  constructor(file, options) {
    this.file = file;
    this.options = options;
  }
}

export class Intake extends EventTarget {
  /** @type {Set<Draft>} */
  drafts = new Set();

  /**
   * @param {import("../cloud/rest.js").Rest} rest
   * @param {import("./shelf.js").Shelf} shelf
   * @param {import("./keepsakes.js").Keepsakes} keepsakes
   */
  constructor(rest, shelf, keepsakes) {
    super();
    this.rest = rest;
    this.shelf = shelf;
    this.keepsakes = keepsakes;
    shelf.addEventListener("change", (event) => this.#handOver(/** @type {CustomEvent<string>} */ (event).detail));
  }

  /**
   * The draft that is being sent for a job, if this page is sending it.
   *
   * @param {string} jobId
   * @returns {Draft | undefined}
   */
  draftOf(jobId) {
    return [...this.drafts].find((draft) => draft.jobId === jobId);
  }

  /**
   * Take a photo in; comes back when it lies in the cloud or cannot.
   *
   * @param {File} file
   * @param {Record<string, unknown>} options those that differ from the defaults
   * @returns {Promise<Draft>}
   */
  async take(file, options) {
    const draft = new Draft(file, options);
    this.drafts.add(draft);
    this.#tell("added", draft);
    await this.#send(draft);
    return draft;
  }

  /** @param {Draft} draft */
  async again(draft) {
    draft.stopping = new AbortController();
    await this.#send(draft);
  }

  /**
   * Stop sending, or put aside what was refused. A job that was announced for it is canceled.
   *
   * @param {Draft} draft
   */
  async putAside(draft) {
    draft.stopping.abort();
    this.#remove(draft);
    // Sent a moment ago, it may be more than a photo by now: so its job is canceled, not deleted.
    if (draft.jobId) await this.shelf.cancel(draft.jobId);
  }

  /** @param {Draft} draft */
  async #send(draft) {
    try {
      this.#change(draft, { state: "examining", error: null, sent: 0 });
      draft.preview ??= await thumbnail(draft.file);
      this.#change(draft, {});
      const found = await examine(draft.file);
      this.#change(draft, { state: "announcing" });
      const { job, upload: form } = await this.rest.createJob(draft.file.name || "photo", found.type, draft.options);
      draft.jobId = job.job_id;
      void this.keepsakes.keep(job.job_id, draft.file, draft.preview);
      this.#change(draft, { state: "sending" });
      this.shelf.put(job);
      await upload(form, draft.file, {
        onProgress: (sent) => this.#change(draft, { sent }),
        signal: draft.stopping.signal,
      });
      this.#change(draft, { state: "sent", sent: 1 });
      this.#handOver(job.job_id);
    } catch (error) {
      if (draft.stopping.signal.aborted) return;
      const { code = "internal_error", message = String(error) } = /** @type {{ code?: string, message?: string }} */ (error);
      const refused = draft.state === "examining";
      if (draft.jobId) this.#withdraw(draft.jobId);
      draft.jobId = null;
      this.#change(draft, { state: refused ? "refused" : "failed", error: { code, message } });
    }
  }

  /**
   * A draft ends when the cloud says that its photo has arrived, not when the last byte has left: in between nobody
   * else would know that it is on its way.
   *
   * @param {string} jobId
   */
  #handOver(jobId) {
    const draft = this.draftOf(jobId);
    if (draft?.state === "sent" && this.shelf.job(jobId)?.status !== "awaiting_upload") this.#remove(draft);
  }

  /**
   * The job of a photo that did not arrive is of no use to anybody. Should the line be down, the cloud gives it up
   * by itself within the hour.
   *
   * @param {string} jobId
   */
  #withdraw(jobId) {
    void this.keepsakes.forget(jobId);
    this.shelf.forget(jobId);
    void this.shelf.remove(jobId).catch(() => undefined);
  }

  /**
   * @param {Draft} draft
   * @param {Partial<Pick<Draft, "state" | "error" | "sent">>} changes
   */
  #change(draft, changes) {
    Object.assign(draft, changes);
    this.#tell("change", draft);
  }

  /** @param {Draft} draft */
  #remove(draft) {
    if (this.drafts.delete(draft)) this.#tell("removed", draft);
  }

  /**
   * @param {string} type
   * @param {Draft} draft
   */
  #tell(type, draft) {
    this.dispatchEvent(new CustomEvent(type, { detail: draft }));
  }
}
