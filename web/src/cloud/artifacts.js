/** The files of a finished job: their links renewed before they end, their bytes checked when they arrive. */

import { makeZip, predictLength } from "client-zip";
import { CloudError, offline } from "./errors.js";

/** @typedef {import("./rest.js").Artifact} Artifact */
/** @typedef {{ onProgress?: (fraction: number) => void, signal?: AbortSignal }} How */

/** seconds before their end at which links are made anew */
const MARGIN = 60;
/** files fetched at the same time for an archive; its thirty small pictures would else take thirty round trips */
const AT_ONCE = 4;

export class Artifacts {
  #rest;
  #jobId;
  /** @type {Map<string, Artifact>} */
  #files = new Map();
  #freshUntil = 0;
  /** @type {Promise<void> | null} */
  #pending = null;

  /**
   * @param {Pick<import("./rest.js").Rest, "artifacts">} rest
   * @param {string} jobId
   */
  constructor(rest, jobId) {
    this.#rest = rest;
    this.#jobId = jobId;
  }

  /**
   * Raises CloudError.
   *
   * @param {Pick<import("./rest.js").Rest, "artifacts">} rest
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
    if (Date.now() >= this.#freshUntil) await this.#renew();
    return this.#file(name).url;
  }

  /**
   * The bytes, held against the manifest's SHA-256. Raises CloudError, or an `AbortError` when `signal` says so.
   *
   * @param {string} name
   * @param {How} [how]
   * @returns {Promise<Blob>}
   */
  async fetch(name, { onProgress, signal } = {}) {
    const url = await this.url(name);
    let answer = await get(url, signal);
    if (answer.status === 403 || answer.status === 400) {
      await answer.body?.cancel();
      // The link has ended after all: clocks differ, laptops sleep. Another file's fetch may have renewed it already.
      if (this.#file(name).url === url) await this.#renew();
      answer = await get(this.#file(name).url, signal);
    }
    if (!answer.ok) {
      await answer.body?.cancel();
      throw new CloudError("not_found", `${name} could not be fetched (${answer.status}). Load the page again.`, answer.status);
    }
    const { bytes, type, sha256 } = this.#file(name);
    const blob = await read(answer, { total: bytes, type, onProgress, signal });
    if (sha256 && !(await matches(blob, sha256))) {
      throw new CloudError("download_corrupt", `${name} did not arrive as it was made. Try again.`);
    }
    return blob;
  }

  /**
   * Every file, packed into one, in a folder of its own. Raises CloudError, or an `AbortError` when `signal` says so.
   *
   * @param {How & { name?: string }} [how] `name`: the folder's
   * @returns {Promise<Blob>}
   */
  async zip({ name = "model", onProgress, signal } = {}) {
    const folder = harmless(name) || "model";
    const entries = this.files.map((file) => ({ name: `${folder}/${file.name}`, size: file.bytes }));
    const total = Number(predictLength(entries));
    const stopping = new AbortController();
    const either = signal ? AbortSignal.any([signal, stopping.signal]) : stopping.signal;
    try {
      const stream = makeZip(this.#inOrder(folder, either));
      return await read(new Response(stream), { total, type: "application/zip", onProgress, signal });
    } finally {
      stopping.abort(); // what was still on its way when another file failed
    }
  }

  /**
   * @param {string} folder
   * @param {AbortSignal} signal
   */
  async *#inOrder(folder, signal) {
    const waiting = [...this.#files.keys()];
    /** @type {{ name: string, coming: Promise<Blob> }[]} */
    const ahead = [];
    while (waiting.length > 0 || ahead.length > 0) {
      for (const name of waiting.splice(0, AT_ONCE - ahead.length)) {
        const coming = this.fetch(name, { signal });
        coming.catch(() => undefined); // it is told when its turn comes
        ahead.push({ name: `${folder}/${name}`, coming });
      }
      const first = ahead.shift();
      if (first) yield { name: first.name, input: await first.coming };
    }
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
 * A name for a folder that leads nowhere but into itself, whatever a photo was called: `..` is no name, and neither
 * slashes nor what a terminal or another reader of the archive would obey are letters of one.
 *
 * @param {string} name
 */
function harmless(name) {
  return name.replace(/[\p{Cc}\p{Cs}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff/\\:*?"<>|]/gu, "_").replace(/^[. ]+|[. ]+$/g, "");
}

/**
 * @param {string} url
 * @param {AbortSignal} [signal]
 */
async function get(url, signal) {
  try {
    return await fetch(url, { signal });
  } catch {
    signal?.throwIfAborted();
    throw offline();
  }
}

/**
 * @param {Response} answer
 * @param {How & { total: number, type: string }} how `total`: bytes, as far as known
 * @returns {Promise<Blob>}
 */
async function read(answer, { total, type, onProgress, signal }) {
  if (!answer.body) return new Blob([], { type });
  const reader = answer.body.getReader();
  /** @type {BlobPart[]} */
  const parts = [];
  let count = 0;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      parts.push(value);
      count += value.length;
      if (total) onProgress?.(Math.min(1, count / total));
    }
  } catch (error) {
    signal?.throwIfAborted();
    throw error instanceof CloudError ? error : offline();
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
