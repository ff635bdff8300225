/** Timers with names: setting one again replaces it, and none is left when all are cleared. */

export class Timers {
  /** @type {Map<string, ReturnType<typeof setTimeout>>} */
  #running = new Map();

  /**
   * @param {string} name
   * @param {number} milliseconds
   * @param {() => void} action
   */
  after(name, milliseconds, action) {
    this.cancel(name);
    const timer = setTimeout(() => {
      this.#running.delete(name);
      action();
    }, milliseconds);
    this.#running.set(name, timer);
  }

  /** @param {string} name */
  has(name) {
    return this.#running.has(name);
  }

  /** @param {string} name */
  cancel(name) {
    clearTimeout(this.#running.get(name));
    this.#running.delete(name);
  }

  clear() {
    for (const name of [...this.#running.keys()]) this.cancel(name);
  }
}
