/** The files of a finished job: their links renewed before they end, their bytes checked when they arrive. */

import { makeZip, predictLength } from "client-zip";
import { CloudError, offline } from "./errors.js";

/** @typedef {import("./rest.js").Artifact} Artifact */
/** @typedef {{ onProgress?: (fraction: number) => void, signal?: AbortSignal }} How */

/** seconds before their end at which links are made anew */
const MARGIN = 60;

export class Artifacts {
  #rest;
  #jobId;
  /** @type {Map<string, Artifact>} */
  #files = new Map();
  #freshUntil = 0;
  /** @type {Promise<void> | null} */
  #pending = null;

  /**
   * @param {import("./rest.js").Rest} rest
   * @param {string} jobId
   */
  constructor(rest, jobId) {
    this.#rest = rest;
    this.#jobId = jobId;
  }

  /**
   * Raises CloudError.
   *
   * @param {import("./rest.js").Rest} rest
   * @param {string} jobId
   * @returns {Promise<Artifacts>}
   */
  static async of(rest, jobId) {
    const artifacts = new Artifacts(rest, jobId);
    await artifacts.#renew();
    return artifacts;
  }

  /** @returns {Artifact[]} links in it may have ended: ask {@link url} */
  get files() {
    return [...this.#files.values()];
  }

  /** @param {string} name */
  has(name) {
    return this.#files.has(name);
  }

  /**
   * A link that holds for a minute at least. Raises CloudError.
   *
   * @param {string} name
   * @returns {Promise<string>}
   */
  async url(name) {
    if (Date.now() > this.#freshUntil) await this.#renew();
    return this.#file(name).url;
  }

  /**
   * The bytes, held against the manifest's SHA-256. Raises CloudError.
   *
   * @param {string} name
   * @param {How} [how]
   * @returns {Promise<Blob>}
   */
  async fetch(name, { onProgress, signal } = {}) {
    let answer = await get(await this.url(name), signal);
    if (answer.status === 403 || answer.status === 400) {
      await this.#renew(); // the link has ended after all: clocks differ, laptops sleep
      answer = await get(this.#file(name).url, signal);
    }
    if (!answer.ok) throw new CloudError("not_found", `${name} could not be fetched (${answer.status}).`, answer.status);
    const { bytes, type, sha256 } = this.#file(name);
    const blob = await read(answer, bytes, type, onProgress);
    if (sha256 && !(await matches(blob, sha256))) {
      throw new CloudError("download_corrupt", `${name} did not arrive as it was made. Try again.`);
    }
    return blob;
  }

  /**
   * Every file, packed into one. Raises CloudError.
   *
   * @param {How} [how]
   * @returns {Promise<Blob>}
   */
  async zip({ onProgress, signal } = {}) {
    const files = this.files;
    const total = Number(predictLength(files.map(({ name, bytes }) => ({ name, size: bytes }))));
    const fetchAll = async function* (/** @type {Artifacts} */ self) {
      // One after the other: the archive is a stream, and so is never more than one file ahead of its reader.
      for (const { name } of files) yield { name, input: await self.fetch(name, { signal }) };
    };
    const stream = makeZip(fetchAll(this));
    return read(new Response(stream), total, "application/zip", onProgress);
  }

  /** @param {string} name */
  #file(name) {
    const file = this.#files.get(name);
    if (!file) throw new CloudError("not_found", `This model has no file ${name}.`, 404);
    return file;
  }

  /** @returns {Promise<void>} */
  #renew() {
    this.#pending ??= this.#rest
      .artifacts(this.#jobId)
      .then(({ artifacts, expires_in }) => {
        this.#files = new Map(artifacts.map((file) => [file.name, file]));
        this.#freshUntil = Date.now() + (expires_in - MARGIN) * 1000;
      })
      .finally(() => {
        this.#pending = null;
      });
    return this.#pending;
  }
}

/**
 * @param {string} url
 * @param {AbortSignal} [signal]
 */
async function get(url, signal) {
  try {
    return await fetch(url, { signal });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw offline();
  }
}

/**
 * @param {Response} answer
 * @param {number} total bytes, as far as known
 * @param {string} type
 * @param {(fraction: number) => void} [onProgress]
 * @returns {Promise<Blob>}
 */
async function read(answer, total, type, onProgress) {
  if (!answer.body) return answer.blob();
  const reader = answer.body.getReader();
  /** @type {BlobPart[]} */
  const parts = [];
  let count = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    parts.push(value);
    count += value.length;
    if (total) onProgress?.(Math.min(1, count / total));
  }
  onProgress?.(1);
  return new Blob(parts, { type });
}

/**
 * @param {Blob} blob
 * @param {string} sha256 hex
 * @returns {Promise<boolean>} true as well where the browser cannot tell: plain http on another machine
 */
async function matches(blob, sha256) {
  if (!globalThis.crypto?.subtle) return true;
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", await blob.arrayBuffer()));
  return [...digest].map((byte) => byte.toString(16).padStart(2, "0")).join("") === sha256;
}
