/** Progress on a measuring rod. */

import { h } from "./dom.js";
import { percent } from "./format.js";

/**
 * @param {string} label
 * @returns {{ element: HTMLElement, set(fraction: number, text?: string): void }}
 */
export function rod(label) {
  const fill = h("span", { class: "rod-fill" });
  const element = h(
    "div",
    { class: "rod", role: "progressbar", "aria-label": label, "aria-valuemin": 0, "aria-valuemax": 100, "aria-valuenow": 0 },
    fill,
  );
  return {
    element,
    set(fraction, text) {
      fill.style.transform = `scaleX(${Math.max(0, Math.min(1, fraction))})`;
      element.setAttribute("aria-valuenow", String(Math.floor(fraction * 100)));
      element.setAttribute("aria-valuetext", text ?? percent(fraction));
    },
  };
}
