/**
 * Who this browser is: a signed token that owns what is made with it, kept here and renewed long before it ends.
 */

import { offline, refusal } from "./errors.js";

const KEPT = "maquette.session";
/** days that must be left; fewer, and the token is renewed */
const RENEW_DAYS = 7;

/** @typedef {{ token: string, expires_at: string }} Kept */

export class Session {
  /** @type {Kept | null} */
  #kept;
  /** @type {Promise<string> | null} */
  #pending = null;

  /**
   * @param {{ rest: string }} config
   * @param {Pick<Storage, "getItem" | "setItem" | "removeItem"> | null} [storage]
   */
  constructor(config, storage = safeStorage()) {
    this.config = config;
    this.storage = storage;
    this.#kept = read(storage);
  }

  /**
   * The token; made where there is none, renewed in time. Raises CloudError.
   *
   * @returns {Promise<string>}
   */
  async token() {
    const left = this.#kept ? (Date.parse(this.#kept.expires_at) - Date.now()) / 86_400_000 : -1;
    if (this.#kept && left > RENEW_DAYS) return this.#kept.token;
    if (this.#kept && left > 0) {
      const { token } = this.#kept;
      return this.renew().catch(() => token); // it still holds: the next call tries again
    }
    return this.renew();
  }

  /**
   * A new token: for the same owner where the present one still holds. Everyone who asks meanwhile shares one
   * request. Raises CloudError, `access_key_required` among others.
   *
   * @param {string} [accessKey]
   * @returns {Promise<string>}
   */
  renew(accessKey) {
    this.#pending ??= this.#create(accessKey).finally(() => {
      this.#pending = null;
    });
    return this.#pending;
  }

  /** The cloud does not know this token any more. */
  forget() {
    this.#kept = null;
    this.storage?.removeItem(KEPT);
  }

  /**
   * @param {string} [accessKey]
   * @returns {Promise<string>}
   */
  async #create(accessKey) {
    /** @type {Record<string, string>} */
    const headers = { "Content-Type": "application/json" };
    if (this.#kept) headers.Authorization = `Bearer ${this.#kept.token}`;
    const body = JSON.stringify(accessKey === undefined ? {} : { access_key: accessKey });
    const answer = await fetch(`${this.config.rest}/sessions`, { method: "POST", headers, body }).catch(() => {
      throw offline();
    });
    if (!answer.ok) throw await refusal(answer);
    /** @type {Kept} */
    const { token, expires_at } = await answer.json();
    this.#kept = { token, expires_at };
    try {
      this.storage?.setItem(KEPT, JSON.stringify(this.#kept));
    } catch {
      // Storage is full or blocked: the session lasts as long as the page.
    }
    return token;
  }
}

/** @returns {Storage | null} */
function safeStorage() {
  try {
    return globalThis.localStorage ?? null;
  } catch {
    return null;
  }
}

/**
 * @param {Pick<Storage, "getItem"> | null} storage
 * @returns {Kept | null}
 */
function read(storage) {
  try {
    const kept = JSON.parse(storage?.getItem(KEPT) ?? "null");
    return typeof kept?.token === "string" && Date.parse(kept.expires_at) > Date.now() ? kept : null;
  } catch {
    return null;
  }
}
