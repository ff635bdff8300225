/**
 * The session's jobs, newest first, as far as they have been looked at, kept up to date by the live connection.
 *
 * Events: `change` (detail: the job's id) when a job's record or poster changed, `added` and `removed` (detail: the
 * id), `state` when loading began, ended or failed.
 */

import { Estimate } from "../cloud/estimate.js";

/** @typedef {import("../cloud/rest.js").Job} Job */

export const TERMINAL = new Set(["succeeded", "failed", "canceled"]);
const PAGE = 24;
/** milliseconds between two looks at how long the queue is */
const QUEUE_LOOK = 4000;

export class Shelf extends EventTarget {
  /** @type {Map<string, Job>} */
  #jobs = new Map();
  /** @type {Set<string>} jobs that are gone; a frame that was on its way must not bring one back */
  #gone = new Set();
  /** @type {string | null} */
  #cursor = null;
  #estimate = new Estimate([]);
  #estimateIsOld = true;
  #queueTimer = 0;
  /** @type {"empty" | "loading" | "ready" | "failed"} */
  state = "empty";
  /** @type {import("../cloud/errors.js").CloudError | null} */
  error = null;
  loadingMore = false;

  /**
   * @param {import("../cloud/rest.js").Rest} rest
   * @param {import("../cloud/live.js").Live} live
   * @param {{ alone?: boolean }} [how] `alone`: there is one job and no list, as for a guest
   */
  constructor(rest, live, { alone = false } = {}) {
    super();
    this.rest = rest;
    live.addEventListener("job", (event) => this.put(/** @type {CustomEvent<Job>} */ (event).detail));
    // What changed while nobody listened is on the first page, or on pages that are read again when asked for.
    if (!alone) live.addEventListener("subscribed", () => void this.refresh());
    this.#queueTimer = setInterval(() => void this.#lookAtQueue(), QUEUE_LOOK);
  }

  /** @returns {Job[]} newest first */
  get jobs() {
    return [...this.#jobs.values()].sort((a, b) => (a.created_at < b.created_at ? 1 : a.created_at > b.created_at ? -1 : 0));
  }

  get hasMore() {
    return this.#cursor !== null;
  }

  /**
   * @param {string} id
   * @returns {Job | undefined}
   */
  job(id) {
    return this.#jobs.get(id);
  }

  /** Read the newest page again; jobs further down stay as they are. */
  async refresh() {
    if (this.state !== "ready") this.#setState("loading");
    try {
      const page = await this.rest.jobs({ limit: PAGE });
      if (this.state !== "ready") this.#cursor = page.cursor;
      for (const job of page.jobs) this.put(job);
      this.#dropMissing(page.jobs, page.cursor === null);
      this.#setState("ready");
    } catch (error) {
      // A shelf that has been filled stays readable: the connection's own sign says that it is out of date.
      if (this.state !== "ready") this.#setState("failed", error);
    }
  }

  /** Read the next page. Raises CloudError. */
  async more() {
    if (this.loadingMore || this.#cursor === null) return;
    this.loadingMore = true;
    try {
      const page = await this.rest.jobs({ limit: PAGE, cursor: this.#cursor });
      this.#cursor = page.cursor;
      for (const job of page.jobs) this.put(job);
      this.#setState("ready");
    } finally {
      this.loadingMore = false;
    }
  }

  /**
   * The job as it is now, fresh from the server: with links and its place in the queue. Raises CloudError.
   *
   * @param {string} id
   * @returns {Promise<Job>}
   */
  async look(id) {
    const job = await this.rest.job(id);
    this.put(job);
    return this.#jobs.get(id) ?? job;
  }

  /**
   * Stop a job that lives. One that has ended a moment before stays as it is: nobody meant to lose a finished model.
   * Raises CloudError.
   *
   * @param {string} id
   */
  async cancel(id) {
    this.put(await this.rest.cancel(id));
  }

  /**
   * Delete a job with all its files; one that lives is stopped first. Raises CloudError.
   *
   * @param {string} id
   */
  async remove(id) {
    const job = await this.rest.remove(id);
    if (job !== null) await this.rest.remove(id); // it lived, so the first call only canceled it
    this.forget(id);
  }

  /** @param {string} id */
  forget(id) {
    this.#gone.add(id);
    if (this.#jobs.delete(id)) this.#tell("removed", id);
  }

  /**
   * Take in a record unless a newer one is here already.
   *
   * @param {Job} job
   */
  put(job) {
    const before = this.#jobs.get(job.job_id);
    if (this.#gone.has(job.job_id) || (before && before.seq > job.seq)) return;
    // Frames carry no links: those of an earlier answer stay until there are new ones.
    const merged = { ...job, poster_url: job.poster_url ?? before?.poster_url ?? null, queue_position: job.queue_position ?? null };
    if (merged.status === "queued") merged.queue_position ??= before?.queue_position ?? null;
    this.#jobs.set(job.job_id, merged);
    if (merged.status === "succeeded") {
      this.#estimateIsOld = true;
      // Asked for after a frame alone: an answer of REST without a poster has none, however often it is asked.
      const told = job.poster_url !== undefined || before?.poster_url;
      if (!told) void this.look(job.job_id).catch(() => undefined); // the card does without
    }
    this.#tell(before ? "change" : "added", job.job_id);
  }

  /**
   * @param {Job} job
   * @returns {number | null} seconds until the job is done, null when nobody can know
   */
  secondsLeft(job) {
    if (this.#estimateIsOld) {
      const past = this.jobs.filter((one) => one.status === "succeeded");
      this.#estimate = new Estimate(past, this.#estimate); // which keeps what it has seen of the jobs under way
      this.#estimateIsOld = false;
    }
    return this.#estimate.secondsLeft(job, Date.now(), job.queue_position ?? undefined);
  }

  stop() {
    clearInterval(this.#queueTimer);
  }

  async #lookAtQueue() {
    if (document.hidden) return;
    const waiting = this.jobs.filter((job) => job.status === "queued").slice(0, 3);
    await Promise.allSettled(waiting.map((job) => this.look(job.job_id)));
  }

  /**
   * Jobs that were deleted elsewhere: younger than the page's last one, but not on it.
   *
   * @param {Job[]} page
   * @param {boolean} whole
   */
  #dropMissing(page, whole) {
    const listed = new Set(page.map((job) => job.job_id));
    const oldest = page.at(-1)?.created_at ?? "";
    // The list is read from an index that lags a moment behind: what is only seconds old is not held against it.
    const young = new Date(Date.now() - 10_000).toISOString();
    for (const job of this.jobs) {
      if (listed.has(job.job_id) || job.created_at > young) continue;
      if (whole || job.created_at > oldest) this.forget(job.job_id);
    }
  }

  /**
   * @param {typeof this.state} state
   * @param {unknown} [error]
   */
  #setState(state, error) {
    this.state = state;
    this.error = error ? /** @type {import("../cloud/errors.js").CloudError} */ (error) : null;
    this.#tell("state", null);
  }

  /**
   * @param {string} type
   * @param {string | null} detail
   */
  #tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
