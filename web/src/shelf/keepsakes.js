/**
 * What this browser keeps of a photo until its model is there: the file, to send it again, and a small picture of
 * it. In IndexedDB, so that a reload loses neither; in memory alone where the browser forbids that.
 */

import { createStore, del, entries, get, set } from "idb-keyval";

/** @typedef {{ file: File, thumbnail: string | null, kept: number }} Keepsake */

/** Photos of jobs that never came to an end are forgotten after this long, milliseconds. */
const LONGEST = 3 * 24 * 3600 * 1000;

export class Keepsakes {
  /** @type {Map<string, Keepsake>} */
  #memory = new Map();
  /** @type {import("idb-keyval").UseStore | null} */
  #store = null;

  constructor() {
    try {
      this.#store = createStore("maquette", "photos");
    } catch {
      this.#store = null; // private browsing without storage: reloads forget, nothing else changes
    }
  }

  /**
   * @param {string} jobId
   * @param {File} file
   * @param {string | null} thumbnail
   */
  async keep(jobId, file, thumbnail) {
    const keepsake = { file, thumbnail, kept: Date.now() };
    this.#memory.set(jobId, keepsake);
    await this.#try((store) => set(jobId, keepsake, store));
  }

  /**
   * @param {string} jobId
   * @returns {Promise<Keepsake | null>}
   */
  async find(jobId) {
    return this.#memory.get(jobId) ?? (await this.#try((store) => get(jobId, store))) ?? null;
  }

  /** @param {string} jobId */
  async forget(jobId) {
    this.#memory.delete(jobId);
    await this.#try((store) => del(jobId, store));
  }

  /** Forget what has been lying here for too long. */
  async tidy() {
    const all = (await this.#try((store) => entries(store))) ?? [];
    for (const [jobId, keepsake] of all) {
      if (Date.now() - keepsake.kept > LONGEST) await this.forget(String(jobId));
    }
  }

  /**
   * @template T
   * @param {(store: import("idb-keyval").UseStore) => Promise<T>} action
   * @returns {Promise<T | undefined>}
   */
  async #try(action) {
    if (this.#store === null) return undefined;
    try {
      return await action(this.#store);
    } catch {
      this.#store = null; // blocked, or full: the copy in memory has to do
      return undefined;
    }
  }
}
