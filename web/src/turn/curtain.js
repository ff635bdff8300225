/** What stands before the model until it can be seen: its portrait, a rod that fills with its bytes, or what went wrong. */

import { h, setText } from "../ui/dom.js";
import { size } from "../ui/format.js";
import { rod } from "../ui/rod.js";
import { glyph } from "./glyphs.js";

/**
 * @param {() => void} onRetry
 * @param {() => void} onFrames leads to the pictures, which need no WebGL
 */
export function createCurtain(onRetry, onFrames) {
  const poster = h("img", { class: "curtain-poster", alt: "", width: 512, height: 512, hidden: true });
  const bar = rod("The model is coming");
  const line = h("p", { class: "curtain-line" });
  const loading = h("div", { class: "curtain-loading" }, line, bar.element);
  const title = h("p", { class: "curtain-title" });
  const advice = h("p", { class: "curtain-advice" });
  const retry = h("button", { type: "button", class: "button", onclick: onRetry }, glyph("retry"), "Try again");
  const frames = h("button", { type: "button", class: "button quiet", onclick: onFrames }, "See the pictures");
  const trouble = h("div", { class: "curtain-trouble", hidden: true }, title, advice, h("div", { class: "curtain-ways" }, retry, frames));
  const status = h("p", { class: "visually-hidden", role: "status" });
  const element = h("div", { class: "curtain" }, poster, loading, trouble);
  return {
    element,
    status,

    /** @param {string} url of the poster */
    showPoster(url) {
      poster.src = url;
      poster.hidden = false;
    },

    /** @param {number} fraction @param {number} bytes of all */
    showLoading(fraction, bytes) {
      element.dataset.state = "loading";
      loading.hidden = false;
      trouble.hidden = true;
      const words = fraction < 1 ? `${size(fraction * bytes)} of ${size(bytes)}` : "Setting it on the plinth";
      bar.set(fraction, words);
      setText(line, words);
      if (fraction === 0) setText(status, `The model is coming, ${size(bytes)}.`);
    },

    /** @param {string} what @param {string} help @param {{ again?: boolean }} [how] `again`: trying once more may help */
    showTrouble(what, help, { again = true } = {}) {
      element.dataset.state = "trouble";
      element.inert = false;
      loading.hidden = true;
      trouble.hidden = false;
      retry.hidden = !again;
      setText(title, what);
      setText(advice, help);
      setText(status, `${what} ${help}`);
    },

    /** @param {string} sentence */
    open(sentence) {
      element.dataset.state = "open";
      element.inert = true;
      trouble.hidden = true;
      setText(status, sentence);
    },
  };
}
