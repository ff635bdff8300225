/**
 * The live connection: every change of the session's jobs, or of the one job that a share link is for.
 *
 *   connecting ── open, subscribed ──→ live ── lost ──→ waiting ── back-off ──→ connecting …
 *                                                          └── socket refused again and again ──→ fallback
 *
 * A frame holds a job's whole record, so nothing is lost by a lost frame; after every subscription the owner of this
 * object reads the list again (`subscribed`). In `fallback`, where something on the way blocks WebSockets, REST is
 * asked every few seconds (or, for a single job, its server-sent events), and the socket is still tried.
 *
 * Events: `job` (detail: the record), `state`, `subscribed`.
 */

/** @typedef {import("./rest.js").Job} Job */
/** @typedef {"stopped" | "connecting" | "live" | "waiting" | "fallback"} LiveState */

/** milliseconds; API Gateway ends a socket that is idle for ten minutes, and every one after two hours */
export const PING_EVERY = 60_000;
const PONG_WITHIN = 10_000;
const OPEN_WITHIN = 10_000;
const FIRST_PAUSE = 250;
export const LONGEST_PAUSE = 15_000;
/** tries in a row without a connection, after which REST is asked instead */
const TRIES = 3;
const POLL_EVERY = 3_000;

export class Live extends EventTarget {
  /** @type {LiveState} */
  state = "stopped";
  /** @type {number | null} when the next try is, milliseconds since 1970 */
  retryAt = null;
  /** @type {WebSocket | null} */
  #socket = null;
  /** @type {Map<string, number>} job → highest seq told */
  #told = new Map();
  #failures = 0;
  #waking = new AbortController();
  /** @type {Map<string, ReturnType<typeof setTimeout>>} */
  #timers = new Map();
  /** @type {EventSource | null} */
  #events = null;

  /**
   * @param {object} given
   * @param {{ socket: string }} given.config
   * @param {Pick<import("./rest.js").Rest, "jobs" | "job" | "eventsUrl">} given.rest
   * @param {() => Promise<string>} given.token
   * @param {string} [given.jobId] the only job to follow
   */
  constructor({ config, rest, token, jobId }) {
    super();
    this.config = config;
    this.rest = rest;
    this.token = token;
    this.jobId = jobId;
  }

  /** Connect, or try again at once. */
  start() {
    if (this.state === "stopped") this.#listenForWaking();
    if (this.state === "live" || this.state === "connecting") return;
    void this.#connect();
  }

  stop() {
    this.#waking.abort();
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
    this.#events?.close();
    this.#events = null;
    this.#drop();
    this.#setState("stopped");
  }

  async #connect() {
    this.#clear("retry");
    this.#drop();
    if (this.state !== "fallback") this.#setState("connecting");
    /** @type {WebSocket} */
    let socket;
    try {
      const token = await this.token();
      if (this.state === "stopped" || this.#socket) return;
      socket = new WebSocket(`${this.config.socket}?${new URLSearchParams({ token })}`);
    } catch {
      this.#lost();
      return;
    }
    this.#socket = socket;
    this.#after("open", OPEN_WITHIN, () => this.#lost());
    const mine = () => this.#socket === socket;
    socket.addEventListener("open", () => mine() && this.#send({ action: "subscribe", ...(this.jobId ? { job_id: this.jobId } : {}) }));
    socket.addEventListener("message", (event) => mine() && this.#hear(event.data));
    socket.addEventListener("close", () => mine() && this.#lost());
  }

  /** @param {string} text */
  #hear(text) {
    const frame = parse(text);
    if (frame?.type === "pong") this.#clear("pong");
    if (frame?.type === "subscribed" || (frame?.type === "job" && this.state !== "live")) this.#subscribed();
    if (frame?.type === "job") this.#tell(frame.job);
    // A share link that has ended, or a job that is gone: whoever shows it finds out from REST.
    if (frame?.type === "error") this.dispatchEvent(new CustomEvent("refused", { detail: frame.error }));
  }

  #subscribed() {
    this.#clear("open");
    this.#stopFallback();
    this.#failures = 0;
    this.retryAt = null;
    this.#setState("live");
    this.#pingLater();
    this.dispatchEvent(new Event("subscribed"));
  }

  #pingLater() {
    this.#after("ping", PING_EVERY, () => {
      this.#send({ action: "ping" });
      this.#after("pong", PONG_WITHIN, () => this.#lost());
      this.#pingLater();
    });
  }

  #lost() {
    this.#drop();
    if (this.state === "stopped") return;
    this.#failures += 1;
    if (this.#failures >= TRIES && this.state !== "fallback") this.#fallBack();
    // Full jitter: a thousand pages that lost the same server must not all come back in the same moment.
    const pause = Math.random() * Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** this.#failures);
    this.retryAt = Date.now() + pause;
    if (this.state !== "fallback") this.#setState("waiting");
    this.#after("retry", pause, () => void this.#connect());
  }

  /** Ask REST as long as no socket can be had. While REST does not answer either, this is no fallback but a wait. */
  #fallBack() {
    const look = async () => {
      try {
        const jobs = this.jobId ? [await this.rest.job(this.jobId)] : (await this.rest.jobs({ limit: 24 })).jobs;
        if (this.state === "stopped" || this.state === "live") return;
        this.#setState("fallback");
        for (const job of jobs) this.#tell(job);
        if (this.jobId && typeof EventSource !== "undefined") return await this.#listen(this.jobId);
      } catch {
        if (this.state === "fallback") this.#setState("waiting");
      }
      this.#after("poll", POLL_EVERY, () => void look());
      return undefined;
    };
    this.#after("poll", 0, () => void look());
  }

  /** @param {string} jobId */
  async #listen(jobId) {
    const events = new EventSource(await this.rest.eventsUrl(jobId));
    this.#events?.close();
    this.#events = events;
    events.addEventListener("job", (event) => {
      const job = parse(/** @type {MessageEvent<string>} */ (event).data);
      if (job) this.#tell(job);
    });
  }

  #stopFallback() {
    this.#clear("poll");
    this.#events?.close();
    this.#events = null;
  }

  /** @param {Job} job */
  #tell(job) {
    if (job.seq <= (this.#told.get(job.job_id) ?? -1)) return;
    this.#told.set(job.job_id, job.seq);
    this.dispatchEvent(new CustomEvent("job", { detail: job }));
  }

  /** @param {object} frame */
  #send(frame) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(frame));
  }

  #drop() {
    for (const name of ["open", "ping", "pong"]) this.#clear(name);
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
  }

  /** Back from sleep or from a tunnel: at once, not when the pause is over. */
  #listenForWaking() {
    this.#waking = new AbortController();
    const { signal } = this.#waking;
    const wake = () => {
      if (this.state === "waiting" || this.state === "fallback") void this.#connect();
    };
    globalThis.addEventListener?.("online", wake, { signal });
    globalThis.addEventListener?.("offline", () => this.state === "live" && this.#lost(), { signal });
    globalThis.document?.addEventListener("visibilitychange", () => document.visibilityState === "visible" && wake(), { signal });
  }

  /** @param {LiveState} state */
  #setState(state) {
    if (this.state === state && state !== "waiting") return;
    this.state = state;
    this.dispatchEvent(new Event("state"));
  }

  /**
   * @param {string} name
   * @param {number} milliseconds
   * @param {() => void} action
   */
  #after(name, milliseconds, action) {
    this.#clear(name);
    this.#timers.set(
      name,
      setTimeout(() => {
        this.#timers.delete(name);
        action();
      }, milliseconds),
    );
  }

  /** @param {string} name */
  #clear(name) {
    clearTimeout(this.#timers.get(name));
    this.#timers.delete(name);
  }
}

/**
 * @param {string} text
 * @returns {any}
 */
function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
