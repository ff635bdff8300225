/** How changes are heard of where no socket can be had: REST is asked now and then, or a job's events are read. */

/** @typedef {import("./rest.js").Job} Job */

/** milliseconds */
const POLL_EVERY = 3_000;
const FIRST_PAGE = 24;
const ENDED = new Set(["succeeded", "failed", "canceled"]);

export class Fallback {
  /** whether REST answered when it was last asked */
  answering = false;
  #turn = 0;
  #running = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  /** @type {EventSource | null} */
  #events = null;

  /**
   * @param {object} given
   * @param {Pick<import("./rest.js").Rest, "jobs" | "job" | "eventsUrl">} given.rest
   * @param {string} [given.jobId] the only job to follow
   * @param {(job: Job) => void} given.onJob
   * @param {(error: unknown) => void} given.onChange REST answers (null) or does not
   */
  constructor({ rest, jobId, onJob, onChange }) {
    this.rest = rest;
    this.jobId = jobId;
    this.onJob = onJob;
    this.onChange = onChange;
  }

  start() {
    if (this.#running) return;
    this.#running = true;
    void this.#look((this.#turn += 1));
  }

  stop() {
    this.#running = false;
    this.answering = false;
    this.#turn += 1;
    clearTimeout(this.#timer);
    this.#events?.close();
    this.#events = null;
  }

  /** @param {number} turn what was asked for in an earlier one is not heard any more */
  async #look(turn) {
    /** @type {unknown} */
    let failure = null;
    try {
      const jobs = this.jobId ? [await this.rest.job(this.jobId)] : (await this.rest.jobs({ limit: FIRST_PAGE })).jobs;
      const events = this.jobId && typeof EventSource !== "undefined" ? await this.rest.eventsUrl(this.jobId) : null;
      if (turn !== this.#turn) return;
      this.#say(null);
      for (const job of jobs) this.onJob(job);
      if (turn !== this.#turn) return; // whoever heard of it may have stopped this
      if (events) {
        this.#listen(events, turn);
        return;
      }
    } catch (error) {
      failure = error;
    }
    if (turn !== this.#turn) return;
    if (failure) this.#say(failure);
    if (turn === this.#turn) this.#lookLater(turn);
  }

  /** @param {number} turn */
  #lookLater(turn) {
    this.#timer = setTimeout(() => void this.#look(turn), POLL_EVERY);
  }

  /**
   * @param {string} address
   * @param {number} turn
   */
  #listen(address, turn) {
    const events = new EventSource(address);
    this.#events = events;
    let ended = false;
    events.addEventListener("job", (event) => {
      const job = parse(/** @type {MessageEvent<string>} */ (event).data);
      if (turn !== this.#turn || !job) return;
      ended = ENDED.has(job.status);
      this.onJob(job);
    });
    events.addEventListener("error", () => {
      // It comes back by itself after an answer that has ended or a lost connection, but not after a refusal, and
      // not when it was told that there is no more to come.
      if (turn !== this.#turn || events.readyState !== EventSource.CLOSED || ended) return;
      this.#lookLater(turn);
    });
  }

  /** @param {unknown} failure */
  #say(failure) {
    this.answering = failure === null;
    this.onChange(failure);
  }
}

/**
 * @param {string} text
 * @returns {Job | null}
 */
function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
