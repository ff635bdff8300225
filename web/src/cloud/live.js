/**
 * The live connection: every change of the session's jobs, or of the one job that a share link is for.
 *
 *   connecting ── open, subscribed ──→ live ── lost ──→ waiting ── back-off ──→ connecting …
 *                                                          └── no socket, try after try ──→ fallback
 *
 * A frame holds a job's whole record, so nothing is lost by a lost frame; after every subscription the owner of this
 * object reads the list again (`subscribed`). In `fallback`, where something on the way blocks WebSockets, REST is
 * asked every few seconds (or, for a single job, its server-sent events), and the socket is still tried.
 *
 * Events: `job` (detail: the record), `state`, `subscribed`, `refused` (detail: code and message; what was to be
 * followed is gone or was never this one's to see, and this has stopped).
 */

import { Fallback } from "./fallback.js";
import { Timers } from "./timers.js";

/** @typedef {import("./rest.js").Job} Job */
/** @typedef {"stopped" | "connecting" | "live" | "waiting" | "fallback"} LiveState */

/** milliseconds; API Gateway ends a socket that is idle for ten minutes, and every one after two hours */
export const PING_EVERY = 60_000;
export const PONG_WITHIN = 10_000;
export const OPEN_WITHIN = 10_000;
export const FIRST_PAUSE = 250;
export const LONGEST_PAUSE = 15_000;
/** tries in a row without a connection, after which REST is asked instead */
export const TRIES = 3;
/** a connection that ends sooner counts as one that never stood: a server that throws everyone out gets no rush */
export const STEADY_AFTER = 5_000;
/** errors that no second try can cure for the one job that is followed */
const FINAL = new Set(["not_found", "unauthorized"]);

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
  #liveSince = Infinity;
  /** counts tries: what an earlier one still brings is not heard */
  #turn = 0;
  #waking = new AbortController();
  #timers = new Timers();
  #fallback;

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
    this.token = token;
    this.jobId = jobId;
    this.#fallback = new Fallback({
      rest,
      jobId,
      onJob: (job) => this.#tell(job),
      onChange: (failure) => this.#fallbackChanged(failure),
    });
  }

  /** Connect, or try again at once. */
  start() {
    if (this.state === "live" || this.state === "connecting") return;
    if (this.state === "stopped") {
      this.#failures = 0;
      this.#listenForWaking();
    }
    void this.#connect();
  }

  stop() {
    this.#waking.abort();
    this.#fallback.stop();
    this.#drop();
    this.#timers.clear();
    this.retryAt = null;
    this.#setState("stopped");
  }

  async #connect() {
    this.#drop();
    const turn = this.#turn;
    this.retryAt = null;
    this.#timers.after("open", OPEN_WITHIN, () => this.#lost());
    if (this.state !== "fallback") this.#setState("connecting");
    /** @type {WebSocket} */
    let socket;
    try {
      // Asked for anew each time. That a token was refused cannot be seen here, where a refusal looks like any lost
      // connection; REST sees it, at the latest in the fallback, and has the session make another.
      const token = await this.token();
      if (turn !== this.#turn) return;
      socket = new WebSocket(`${this.config.socket}?${new URLSearchParams({ token })}`);
    } catch {
      if (turn === this.#turn) this.#lost();
      return;
    }
    this.#socket = socket;
    const mine = () => turn === this.#turn;
    socket.addEventListener("open", () => mine() && this.#send({ action: "subscribe", ...(this.jobId ? { job_id: this.jobId } : {}) }));
    socket.addEventListener("message", (event) => mine() && this.#hear(parse(event.data)));
    socket.addEventListener("close", () => mine() && this.#lost());
  }

  /** @param {any} frame */
  #hear(frame) {
    this.#timers.cancel("pong"); // whatever it says, the other side lives
    switch (frame?.type) {
      case "pong":
        return;
      case "subscribed":
        this.#subscribed();
        return;
      case "job":
        if (this.state !== "live") this.#subscribed();
        this.#tell(frame.job);
        return;
    }
    const { code, message } = frame?.error ?? {};
    if (this.jobId && FINAL.has(code)) this.#refuse({ code, message });
    // Not subscribed, for whatever reason (a function that failed answers without a type): there is nothing to wait for.
    else if (this.state !== "live") this.#lost();
  }

  #subscribed() {
    this.#timers.cancel("open");
    this.#fallback.stop();
    this.#liveSince = Date.now();
    this.#setState("live");
    this.#pingLater();
    this.dispatchEvent(new Event("subscribed"));
  }

  #pingLater() {
    this.#timers.after("ping", PING_EVERY, () => this.#ping());
  }

  #ping() {
    this.#timers.after("pong", PONG_WITHIN, () => this.#lost());
    this.#send({ action: "ping" });
    this.#pingLater();
  }

  #lost() {
    this.#failures = Date.now() - this.#liveSince >= STEADY_AFTER ? 0 : this.#failures + 1;
    this.#drop();
    // Full jitter: a thousand pages that lost the same server must not all come back in the same moment.
    const pause = Math.random() * Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** this.#failures);
    this.retryAt = Date.now() + pause;
    this.#timers.after("retry", pause, () => void this.#connect());
    if (this.state !== "fallback") this.#setState("waiting");
    if (this.state !== "stopped" && this.#failures >= TRIES) this.#fallback.start();
  }

  /**
   * REST answers, or does not either: then this is no fallback but a wait.
   *
   * @param {any} failure
   */
  #fallbackChanged(failure) {
    if (failure === null) this.#setState("fallback");
    else if (this.jobId && FINAL.has(failure.code)) this.#refuse(failure);
    else if (this.state === "fallback") this.#setState(this.#timers.has("retry") ? "waiting" : "connecting");
  }

  /** @param {{ code: string, message: string }} error */
  #refuse({ code, message }) {
    this.stop();
    this.dispatchEvent(new CustomEvent("refused", { detail: { code, message } }));
  }

  /** @param {Job} job */
  #tell(job) {
    if (typeof job?.job_id !== "string" || !(job.seq > (this.#told.get(job.job_id) ?? -1))) return;
    this.#told.set(job.job_id, job.seq);
    this.dispatchEvent(new CustomEvent("job", { detail: job }));
  }

  /** @param {object} frame */
  #send(frame) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(frame));
  }

  #drop() {
    this.#turn += 1;
    this.#liveSince = Infinity;
    for (const name of ["open", "ping", "pong", "retry"]) this.#timers.cancel(name);
    const socket = this.#socket;
    this.#socket = null;
    // Closed while it still connects, it would leave an error in the browser's console.
    if (socket?.readyState === WebSocket.CONNECTING) socket.addEventListener("open", () => socket.close());
    else socket?.close();
  }

  /** Back from sleep or from a tunnel: at once, not when the pause is over. */
  #listenForWaking() {
    this.#waking = new AbortController();
    const { signal } = this.#waking;
    const wake = () => {
      if (this.state === "waiting" || this.state === "fallback") void this.#connect();
      if (this.state === "live") this.#ping(); // it may have died asleep, and nobody was told
    };
    globalThis.addEventListener?.("online", wake, { signal });
    globalThis.addEventListener?.("pageshow", wake, { signal });
    // One that is only being opened is lost as well, and would not be told so before its time is up.
    globalThis.addEventListener?.("offline", () => ["live", "connecting"].includes(this.state) && this.#lost(), { signal });
    globalThis.document?.addEventListener("visibilitychange", () => document.visibilityState === "visible" && wake(), { signal });
  }

  /** @param {LiveState} state */
  #setState(state) {
    if (this.state === state && state !== "waiting") return;
    this.state = state;
    this.dispatchEvent(new Event("state"));
  }
}

/**
 * @param {unknown} text
 * @returns {any}
 */
function parse(text) {
  try {
    return JSON.parse(String(text));
  } catch {
    return null;
  }
}
