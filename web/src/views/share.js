/** A link for others, and the end of all links that were given before. */

import { h, setText } from "../ui/dom.js";
import { moment } from "../ui/format.js";
import { icon } from "../ui/icons.js";

/**
 * @typedef {object} Sharing
 * @property {() => Promise<import("../cloud/rest.js").Share>} share
 * @property {() => Promise<void>} stop takes every link back
 */

/** @param {Sharing} sharing */
export function createShare({ share, stop }) {
  const address = h("input", { type: "text", readonly: true, "aria-label": "Link for others", class: "share-address", onfocus: () => address.select() });
  const note = h("p", { class: "hint", role: "status" });
  const result = h("div", { class: "share-result", hidden: true }, address, note);
  const give = h("button", { type: "button", class: "button quiet", onclick: () => void run(offer) }, icon("link"), "Link for others");
  const end = h("button", { type: "button", class: "button quiet", onclick: () => void run(takeBack) }, icon("close"), "Stop sharing");

  async function offer() {
    const made = await share();
    address.value = made.url;
    address.hidden = false;
    result.hidden = false;
    const copied = await copy(made.url);
    setText(note, `${copied ? "Copied. " : ""}Whoever has it can look at this model and take it home, until ${moment(made.expires_at)}.`);
    if (!copied) address.focus();
  }

  async function takeBack() {
    await stop();
    address.value = "";
    address.hidden = true;
    setText(note, "No link to this model holds any longer, whoever has one.");
  }

  /** @param {() => Promise<void>} action */
  async function run(action) {
    give.disabled = end.disabled = true;
    try {
      await action();
    } catch (error) {
      setText(note, /** @type {Error} */ (error).message);
    } finally {
      result.hidden = false;
      give.disabled = end.disabled = false;
    }
  }
  return h("div", { class: "share" }, h("div", { class: "share-ways" }, give, end), result);
}

/**
 * @param {string} text
 * @returns {Promise<boolean>}
 */
async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false; // not allowed here: the field holds it, selected
  }
}
