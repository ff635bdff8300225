/** Tabs as WAI-ARIA describes them: one stop for the Tab key, arrows between them, each with its panel. */

import { h } from "../ui/dom.js";

/**
 * @param {string} label
 * @param {{ name: string, title: string, panel: HTMLElement, onShow?: () => void, onHide?: () => void }[]} entries
 * @returns {{ element: HTMLElement, show(name: string): void }} `element`: the row of tabs, without the panels
 */
export function createTabs(label, entries) {
  const tabs = entries.map(({ name, title, panel }) => {
    panel.id = `turn-panel-${name}`;
    panel.setAttribute("role", "tabpanel");
    panel.setAttribute("aria-labelledby", `turn-tab-${name}`);
    const attributes = { type: "button", role: "tab", id: `turn-tab-${name}`, class: "turn-tab", "aria-controls": panel.id };
    return h("button", { ...attributes, onclick: () => show(name) }, title);
  });
  let shown = "";

  /** @param {string} name */
  function show(name) {
    if (name === shown) return;
    entries.find((entry) => entry.name === shown)?.onHide?.();
    shown = name;
    entries.forEach((entry, k) => {
      const chosen = entry.name === name;
      tabs[k].setAttribute("aria-selected", String(chosen));
      tabs[k].tabIndex = chosen ? 0 : -1;
      entry.panel.hidden = !chosen;
    });
    entries.find((entry) => entry.name === name)?.onShow?.();
  }

  /** @param {KeyboardEvent} event */
  function move(event) {
    const now = entries.findIndex((entry) => entry.name === shown);
    const next = neighbour(event.key, now, entries.length);
    if (next === null) return;
    event.preventDefault();
    show(entries[next].name);
    tabs[next].focus();
  }

  const element = h("div", { class: "turn-tabs", role: "tablist", "aria-label": label, onkeydown: move }, ...tabs);
  show(entries[0].name);
  return { element, show };
}

/**
 * @param {string} key
 * @param {number} now
 * @param {number} count
 * @returns {number | null} which tab the key leads to
 */
export function neighbour(key, now, count) {
  switch (key) {
    case "ArrowRight":
      return (now + 1) % count;
    case "ArrowLeft":
      return (now + count - 1) % count;
    case "Home":
      return 0;
    case "End":
      return count - 1;
    default:
      return null;
  }
}
