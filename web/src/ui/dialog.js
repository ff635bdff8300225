/** Questions that must be answered first, on the browser's own <dialog>. */

import { h } from "./dom.js";

/**
 * Ask before something cannot be undone.
 *
 * @param {{ title: string, text: string, action: string }} question
 * @returns {Promise<boolean>}
 */
export function confirm({ title, text, action }) {
  return open(title, [h("p", null, text)], action).then((answer) => answer !== null);
}

/**
 * Ask for one line of text.
 *
 * @param {{ title: string, text: string, label: string, action: string, type?: string }} question
 * @returns {Promise<string | null>} null when it was put aside
 */
export function ask({ title, text, label, action, type = "text" }) {
  const input = h("input", { type, name: "answer", required: true, autocomplete: "off", autofocus: true });
  return open(title, [h("p", null, text), h("label", { class: "field" }, h("span", null, label), input)], action).then((answer) =>
    answer === null ? null : input.value,
  );
}

/**
 * @param {string} title
 * @param {Node[]} content
 * @param {string} action
 * @returns {Promise<string | null>}
 */
function open(title, content, action) {
  const heading = h("h2", { id: "dialog-title" }, title);
  const form = h(
    "form",
    { method: "dialog" },
    heading,
    ...content,
    h(
      "div",
      { class: "dialog-actions" },
      h("button", { type: "button", class: "button quiet", onclick: () => dialog.close() }, "Not now"),
      h("button", { class: "button", value: "yes" }, action),
    ),
  );
  const dialog = h("dialog", { class: "dialog", "aria-labelledby": "dialog-title" }, form);
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      resolve(dialog.returnValue === "yes" ? "yes" : null);
      dialog.remove();
    });
  });
}
