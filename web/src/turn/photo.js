/** The photo beside the model: a small print on the wall, or as large as the model itself. */

import { h } from "../ui/dom.js";

/**
 * @param {import("../cloud/artifacts.js").Artifacts} artifacts
 * @param {() => void} onToggle
 * @returns {{ card: HTMLElement, sheet: HTMLElement, show(large: boolean): void, load(): Promise<void> }}
 */
export function createPhoto(artifacts, onToggle) {
  const small = h("img", { alt: "", width: 112, height: 112 });
  const large = h("img", { alt: "The photo it was made from, cut out", width: 1024, height: 1024 });
  const card = h("button", { type: "button", class: "photo-card", "aria-label": "Put the photo beside the model", onclick: onToggle }, small);
  const sheet = h("figure", { class: "photo-sheet", hidden: true }, large, h("figcaption", null, "The photo"));
  card.hidden = true; // until there is something to see
  let known = false;
  return {
    card,
    sheet,
    show(beside) {
      card.hidden = beside || !known;
      sheet.hidden = !beside;
    },
    /** Raises CloudError. */
    async load() {
      if (!artifacts.has("input.png")) return;
      const url = await artifacts.url("input.png");
      small.src = url;
      large.src = url;
      known = true;
      card.hidden = !sheet.hidden;
    },
  };
}
