/** REST, a method for each route (docs/api.md). Every method raises CloudError. */

import { ask, unpack } from "./ask.js";

/**
 * The public record of a job, and what an answer of REST adds to it.
 *
 * @typedef {object} Job
 * @property {string} job_id
 * @property {"awaiting_upload" | "queued" | "running" | "succeeded" | "failed" | "canceled"} status
 * @property {string | null} stage
 * @property {number} progress 0..1, never falls
 * @property {number} seq raised by every change
 * @property {number} attempt
 * @property {{ filename: string, bytes: number | null }} source
 * @property {Record<string, unknown>} options
 * @property {string | null} engine
 * @property {{ code: string, message: string } | null} error
 * @property {{ code: string, message: string } | null} notice
 * @property {string | null} manifest_key
 * @property {Record<string, number>} timings seconds per stage
 * @property {string} created_at
 * @property {string} updated_at
 * @property {string} expires_at
 * @property {string | null} [poster_url]
 * @property {number | null} [queue_position]
 */
/** @typedef {{ url: string, fields: Record<string, string> }} Form a presigned POST */
/** @typedef {{ name: string, bytes: number, type: string, sha256?: string, url: string }} Artifact */
/** @typedef {{ token: string, url: string, expires_at: string }} Share */

export class Rest {
  /**
   * @param {{ rest: string }} config
   * @param {{ session: import("./session.js").Session } | { token: string }} access a session of one's own, or the
   *   token of a share link
   */
  constructor(config, access) {
    this.config = config;
    this.access = access;
  }

  /**
   * @param {string} filename
   * @param {string} contentType
   * @param {Record<string, unknown>} options
   * @returns {Promise<{ job: Job, upload: Form }>}
   */
  createJob(filename, contentType, options) {
    return this.#call("POST", "/jobs", { filename, content_type: contentType, options });
  }

  /**
   * @param {{ cursor?: string | null, limit?: number }} [page]
   * @returns {Promise<{ jobs: Job[], cursor: string | null }>} newest first
   */
  jobs({ cursor, limit = 24 } = {}) {
    const query = new URLSearchParams({ limit: String(limit), ...(cursor ? { cursor } : {}) });
    return this.#call("GET", `/jobs?${query}`);
  }

  /**
   * @param {string} id
   * @returns {Promise<Job>}
   */
  async job(id) {
    return (await this.#call("GET", path(id))).job;
  }

  /**
   * Cancel a job that lives; one that has ended meanwhile is left as it is.
   *
   * @param {string} id
   * @returns {Promise<Job>}
   */
  async cancel(id) {
    return (await this.#call("DELETE", `${path(id)}?only=cancel`)).job;
  }

  /**
   * Cancel a job that lives, delete one that has ended.
   *
   * @param {string} id
   * @returns {Promise<Job | null>} the canceled job, null when it is gone
   */
  async remove(id) {
    return (await this.#call("DELETE", path(id)))?.job ?? null;
  }

  /**
   * @param {string} id
   * @returns {Promise<{ artifacts: Artifact[], expires_in: number }>}
   */
  artifacts(id) {
    return this.#call("GET", `${path(id)}/artifacts`);
  }

  /**
   * @param {string} id
   * @param {{ expiresIn?: number }} [how] seconds
   * @returns {Promise<Share>}
   */
  async share(id, { expiresIn } = {}) {
    const share = await this.#call("POST", `${path(id)}/shares`, expiresIn === undefined ? {} : { expires_in: expiresIn });
    // A cloud that was not told where its site is cannot write the address: it is this page's own.
    const site = globalThis.location?.href.replace(/#.*$/, "") ?? "";
    return { ...share, url: share.url ?? `${site}#/shared/${encodeURIComponent(id)}/${share.token}` };
  }

  /**
   * Takes every link to the job back.
   *
   * @param {string} id
   */
  async stopSharing(id) {
    await this.#call("DELETE", `${path(id)}/shares`);
  }

  /**
   * The address of a job's server-sent events; it holds the token, since EventSource knows no headers.
   *
   * @param {string} id
   * @returns {Promise<string>}
   */
  async eventsUrl(id) {
    return `${this.config.rest}${path(id)}/events?${new URLSearchParams({ token: await this.#token() })}`;
  }

  /** @returns {Promise<string>} */
  #token() {
    return "session" in this.access ? this.access.session.token() : Promise.resolve(this.access.token);
  }

  /**
   * @param {string} method
   * @param {string} address
   * @param {object} [body]
   * @returns {Promise<any>}
   */
  async #call(method, address, body) {
    const token = await this.#token();
    const answer = await this.#send(method, address, body, token);
    if (answer.status !== 401 || !("session" in this.access)) return unpack(answer);
    // The token has ended or its signing key was changed: once more with a new one.
    return unpack(await this.#send(method, address, body, await this.access.session.replace(token)));
  }

  /**
   * @param {string} method
   * @param {string} address
   * @param {object | undefined} body
   * @param {string} token
   */
  #send(method, address, body, token) {
    /** @type {Record<string, string>} */
    const headers = { Authorization: `Bearer ${token}` };
    if (body) headers["Content-Type"] = "application/json";
    return ask(this.config.rest + address, { method, headers, body: body && JSON.stringify(body) });
  }
}

/** @param {string} id */
function path(id) {
  return `/jobs/${encodeURIComponent(id)}`;
}
