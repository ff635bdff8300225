/** The sheet that lists what hands and keys do. */

import { h } from "../ui/dom.js";
import { glyph } from "./glyphs.js";
import { LISTED } from "./keys.js";

/** @returns {HTMLDialogElement} to be placed in the page, and shown with showModal() */
export function createHelp() {
  const close = h("button", { class: "icon-button", "aria-label": "Close" }, glyph("close"));
  const rows = LISTED.map(([keys, what]) =>
    h("div", { class: "help-row" }, h("dt", null, ...keys.map((key) => h("kbd", null, key))), h("dd", null, what)),
  );
  return h(
    "dialog",
    { class: "dialog turn-help", "aria-labelledby": "turn-help-title" },
    h("form", { method: "dialog", class: "help-head" }, h("h2", { id: "turn-help-title" }, "In your hands"), close),
    h("dl", null, ...rows),
    h("p", { class: "hint" }, "Keys work while the model has the focus: click it, or reach it with Tab."),
  );
}
