/**
 * Elements from script. Text always goes in as text: names of files come from strangers.
 */

/** @typedef {string | number | Node | null | undefined | false} Child */

/**
 * An element with attributes, listeners and children.
 *
 * Attributes: `class`, `aria-…`, `data-…` and the like as in HTML; `true` sets an empty one, `false`, null and
 * undefined none. Names that begin with `on` take a listener.
 *
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {Record<string, unknown> | null} [attributes]
 * @param {...(Child | Child[])} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function h(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (name.startsWith("on") && typeof value === "function") {
      element.addEventListener(name.slice(2), /** @type {EventListener} */ (value));
    } else {
      setAttribute(element, name, value);
    }
  }
  append(element, children.flat());
  return element;
}

/**
 * @param {Element} element
 * @param {string} name
 * @param {unknown} value `true` sets an empty attribute; `false`, null and undefined remove it
 */
export function setAttribute(element, name, value) {
  const text = value === true ? "" : value === false || value == null ? null : String(value);
  if (text === null) element.removeAttribute(name);
  else if (element.getAttribute(name) !== text) element.setAttribute(name, text);
}

/**
 * Write a text only where it differs: what does not change is not announced again.
 *
 * @param {Element} element
 * @param {string} text
 */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/**
 * @param {Element} parent
 * @param {Child[]} children
 */
function append(parent, children) {
  for (const child of children) {
    if (child === null || child === undefined || child === false) continue;
    parent.append(typeof child === "number" ? String(child) : child);
  }
}
