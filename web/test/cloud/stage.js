/** What Live needs of a browser, in the hands of a test: the clock, sockets, server-sent events, the window. */

const real = { setTimeout: globalThis.setTimeout, clearTimeout: globalThis.clearTimeout, now: Date.now };

/** Lets every promise that can go on do so. */
export async function settle() {
  for (let round = 0; round < 5; round += 1) await new Promise((later) => setImmediate(later));
}

/** A clock that stands still until it is told to go on, and knows every timer. */
export class Clock {
  now = 1_800_000_000_000;
  #count = 0;
  /** @type {Map<number, { at: number, action: () => void }>} */
  #timers = new Map();

  constructor() {
    const set = (/** @type {() => void} */ action, /** @type {number} */ delay = 0) => {
      this.#timers.set((this.#count += 1), { at: this.now + delay, action });
      return this.#count;
    };
    Object.assign(globalThis, { setTimeout: set, clearTimeout: (/** @type {number} */ id) => this.#timers.delete(id) });
    Date.now = () => this.now;
  }

  /** how many timers are set */
  get pending() {
    return this.#timers.size;
  }

  /** @param {number} milliseconds */
  async pass(milliseconds) {
    const end = this.now + milliseconds;
    await settle();
    for (;;) {
      const next = [...this.#timers].sort((a, b) => a[1].at - b[1].at)[0];
      if (!next || next[1].at > end) break;
      this.now = Math.max(this.now, next[1].at);
      this.#timers.delete(next[0]);
      next[1].action();
      await settle();
    }
    this.now = end;
  }

  restore() {
    Object.assign(globalThis, { setTimeout: real.setTimeout, clearTimeout: real.clearTimeout });
    Date.now = real.now;
  }
}

/**
 * The server's end of every socket. `mode` says what becomes of those that are opened.
 *
 * @typedef {"accept" | "refuse" | "hang" | "mute" | "throw out"} Mode
 */
export class Net {
  /** @type {Mode} */
  mode = "accept";
  /** @type {FakeSocket[]} */
  sockets = [];
  /** @type {{ at: number, frame: any, socket: FakeSocket }[]} */
  heard = [];
  /** @type {(token: string | null) => boolean} */
  admits = () => true;
  /** @type {(frame: any) => object | null} what is answered to a subscription */
  onSubscribe = () => ({ type: "subscribed" });

  constructor() {
    const net = this;
    Object.assign(globalThis, {
      WebSocket: class extends FakeSocket {
        /** @param {string} url */
        constructor(url) {
          super(net, url);
        }
      },
    });
  }

  /** @returns {FakeSocket} */
  get last() {
    const socket = this.sockets.at(-1);
    if (!socket) throw new Error("no socket was opened");
    return socket;
  }

  /** sockets that the client has not closed and the server has not either */
  get open() {
    return this.sockets.filter((socket) => socket.readyState < 2).length;
  }
}

export class FakeSocket extends EventTarget {
  static CONNECTING = 0;
  static OPEN = 1;
  readyState = 0;

  /**
   * @param {Net} net
   * @param {string} url
   */
  constructor(net, url) {
    super();
    this.net = net;
    this.url = url;
    this.at = Date.now();
    this.token = new URL(url).searchParams.get("token");
    net.sockets.push(this);
    if (net.mode === "hang") return;
    queueMicrotask(() => {
      if (net.mode === "refuse" || !net.admits(this.token)) return this.end();
      if (this.readyState !== 0) return undefined;
      this.readyState = 1;
      this.dispatchEvent(new Event("open"));
      return undefined;
    });
  }

  /** @param {string} text */
  send(text) {
    const frame = JSON.parse(text);
    this.net.heard.push({ at: Date.now(), frame, socket: this });
    if (this.net.mode === "mute") return;
    if (frame.action === "ping") this.say({ type: "pong" });
    if (frame.action === "subscribe") {
      const answer = this.net.onSubscribe(frame);
      if (answer) this.say(answer);
      if (this.net.mode === "throw out") this.end();
    }
  }

  /** @param {object | string} frame from the server */
  say(frame) {
    const data = typeof frame === "string" ? frame : JSON.stringify(frame);
    this.dispatchEvent(Object.assign(new Event("message"), { data }));
  }

  /** The server, or the line, ends it. */
  end() {
    if (this.readyState === 3) return;
    this.readyState = 3;
    this.dispatchEvent(new Event("close"));
  }

  close() {
    this.readyState = 3; // a browser tells `close` later, when nobody should listen any more
    queueMicrotask(() => this.dispatchEvent(new Event("close")));
  }
}

/** EventSource, of which the test is the server. */
export class FakeEvents extends EventTarget {
  static CLOSED = 2;
  /** @type {FakeEvents[]} */
  static all = [];
  readyState = 1;

  /** @param {string} url */
  constructor(url) {
    super();
    this.url = url;
    FakeEvents.all.push(this);
  }

  /** @param {object} job */
  say(job) {
    this.dispatchEvent(Object.assign(new Event("job"), { data: JSON.stringify(job) }));
  }

  /** @param {boolean} forGood */
  fail(forGood) {
    this.readyState = forGood ? 2 : 0;
    this.dispatchEvent(new Event("error"));
  }

  close() {
    this.readyState = 2;
  }
}

/** The window and the page's visibility. */
export class Window {
  #events = new EventTarget();
  document = Object.assign(new EventTarget(), { visibilityState: "visible" });

  constructor() {
    Object.assign(globalThis, { addEventListener: this.#events.addEventListener.bind(this.#events), document: this.document });
  }

  /** @param {string} type */
  fire(type) {
    this.#events.dispatchEvent(new Event(type));
  }

  /** @param {"visible" | "hidden"} state */
  show(state) {
    this.document.visibilityState = state;
    this.document.dispatchEvent(new Event("visibilitychange"));
  }
}
