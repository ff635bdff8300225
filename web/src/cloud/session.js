/**
 * Who this browser is: a signed token that owns what is made with it, kept here and renewed long before it ends.
 *
 * All tabs are one browser: what one of them has kept, the others take up, and only one at a time asks for a token.
 * Two tabs with a token each would be two owners, and what was made in one of them would be lost with it.
 */

import { ask, unpack } from "./ask.js";
import { badAnswer } from "./errors.js";

const KEPT = "maquette.session";
/** days that must be left; fewer, and the token is renewed */
const RENEW_DAYS = 7;

/** @typedef {{ token: string, expires_at: string }} Kept */

export class Session {
  /** @type {Kept | null} */
  #kept = null;
  /** @type {Promise<string> | null} */
  #pending = null;

  /**
   * @param {{ rest: string }} config
   * @param {Pick<Storage, "getItem" | "setItem" | "removeItem"> | null} [storage]
   */
  constructor(config, storage = safeStorage()) {
    this.config = config;
    this.storage = storage;
  }

  /**
   * The token; made where there is none, renewed in time. Raises CloudError.
   *
   * @returns {Promise<string>}
   */
  async token() {
    const kept = this.#lookUp();
    if (!kept) return this.renew();
    const { token } = kept;
    if (daysLeft(kept) > RENEW_DAYS) return token;
    return this.renew().catch(() => token); // it still holds: the next call tries again
  }

  /**
   * A new token: for the same owner where the present one still holds. Everyone who asks meanwhile shares one
   * request. Raises CloudError, `access_key_required` among others.
   *
   * @param {string} [accessKey]
   * @returns {Promise<string>}
   */
  renew(accessKey) {
    if (this.#pending && accessKey !== undefined) {
      // What is on its way knows nothing of the key.
      return this.#pending.catch(() => undefined).then(() => this.renew(accessKey));
    }
    this.#pending ??= this.#inTurn(accessKey).finally(() => {
      this.#pending = null;
    });
    return this.#pending;
  }

  /**
   * A token in place of one that the cloud refused. Calls that were refused together, or one after the other, end up
   * with the same new one. Raises CloudError.
   *
   * @param {string} refused
   * @returns {Promise<string>}
   */
  replace(refused) {
    if (this.#lookUp()?.token === refused) this.forget();
    return this.token();
  }

  /** The cloud does not know this token any more. */
  forget() {
    this.#kept = null;
    this.storage?.removeItem(KEPT);
  }

  /** @returns {Kept | null} the token that holds, be it another tab that has kept it */
  #lookUp() {
    this.#kept = read(this.storage) ?? this.#kept;
    if (this.#kept && daysLeft(this.#kept) <= 0) this.#kept = null;
    return this.#kept;
  }

  /**
   * @param {string} [accessKey]
   * @returns {Promise<string>}
   */
  #inTurn(accessKey) {
    const before = this.#lookUp()?.token;
    const make = async () => {
      const kept = this.#lookUp();
      const anew = kept && kept.token !== before && daysLeft(kept) > RENEW_DAYS;
      return anew ? kept.token : this.#create(accessKey);
    };
    const locks = globalThis.navigator?.locks; // not there over plain http from another machine
    return locks ? locks.request(KEPT, make) : make();
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
    const answer = await ask(`${this.config.rest}/sessions`, { method: "POST", headers, body });
    const { token, expires_at } = (await unpack(answer)) ?? {};
    if (typeof token !== "string" || Number.isNaN(Date.parse(expires_at))) throw badAnswer(answer.status);
    this.#kept = { token, expires_at };
    try {
      this.storage?.setItem(KEPT, JSON.stringify(this.#kept));
    } catch {
      // Storage is full or blocked: the session lasts as long as the page.
    }
    return token;
  }
}

/** @param {Kept} kept */
function daysLeft(kept) {
  return (Date.parse(kept.expires_at) - Date.now()) / 86_400_000;
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
