/** The options of the next photo, behind one fold. */

import { FIELDS, remember, remembered } from "../shelf/options.js";
import { h, setText } from "../ui/dom.js";
import { icon } from "../ui/icons.js";

/** @typedef {import("../shelf/options.js").Field} Field */

/** @returns {{ element: HTMLElement, chosen(): Record<string, unknown> }} */
export function createOptionsForm() {
  const before = remembered();
  const controls = FIELDS.map((field) => ({ field, control: control(field, before[field.name] ?? field.standard) }));
  const count = h("span", { class: "fold-count" });

  function chosen() {
    /** @type {Record<string, unknown>} */
    const options = {};
    for (const { field, control } of controls) {
      const { value } = control;
      if (value === "" || value === String(field.standard)) continue;
      options[field.name] = field.read ? field.read(value) : value;
    }
    return options;
  }

  function changed() {
    const options = chosen();
    remember(options);
    const changes = Object.keys(options).length;
    setText(count, changes === 0 ? "" : `${changes} changed`);
    reset.hidden = changes === 0;
  }

  const reset = h(
    "button",
    {
      type: "button",
      class: "button quiet small",
      onclick: () => {
        for (const { field, control } of controls) control.value = String(field.standard);
        changed();
      },
    },
    "As usual",
  );
  const element = h(
    "details",
    { class: "fold" },
    h("summary", null, h("span", null, "Options"), count, icon("chevron")),
    h("div", { class: "fold-fields", oninput: changed }, ...controls.map(({ field, control }) => labelled(field, control)), reset),
  );
  changed();
  return { element, chosen };
}

/**
 * @param {Field} field
 * @param {unknown} value
 * @returns {HTMLInputElement | HTMLSelectElement}
 */
function control(field, value) {
  const shared = { name: field.name, id: `option-${field.name}`, "aria-describedby": `hint-${field.name}` };
  if (!field.choices) {
    const input = h("input", { ...shared, type: "number", min: field.min, max: field.max, step: "any", inputmode: "decimal", required: true });
    input.value = String(value);
    return input;
  }
  const select = h("select", shared, ...field.choices.map((choice) => h("option", { value: choice.value }, choice.label)));
  select.value = String(value);
  return select;
}

/**
 * @param {Field} field
 * @param {HTMLElement} control
 * @returns {HTMLElement}
 */
function labelled(field, control) {
  return h(
    "div",
    { class: "field" },
    h("label", { for: `option-${field.name}` }, field.label),
    control,
    h("p", { class: "hint", id: `hint-${field.name}` }, field.hint),
  );
}
