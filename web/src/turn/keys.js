/** What the keys do while the model has the focus. */

/**
 * @typedef {"left" | "right" | "up" | "down" | "pan-left" | "pan-right" | "pan-up" | "pan-down" | "closer" | "farther" |
 *   "frame" | "turn" | "textured" | "clay" | "wireframe" | "normals" | "screenshot" | "photo" | "help"} Action
 */

/** @type {Record<string, Action>} */
const PLAIN = {
  ArrowLeft: "left",
  ArrowRight: "right",
  ArrowUp: "up",
  ArrowDown: "down",
  "+": "closer",
  "=": "closer",
  "-": "farther",
  _: "farther",
  f: "frame",
  r: "turn",
  1: "textured",
  2: "clay",
  3: "wireframe",
  4: "normals",
  s: "screenshot",
  p: "photo",
  "?": "help",
};

/** @type {Record<string, Action>} */
const SHIFTED = { ArrowLeft: "pan-left", ArrowRight: "pan-right", ArrowUp: "pan-up", ArrowDown: "pan-down" };

/**
 * What hands and keys do, as the help lists it.
 *
 * @type {[ways: string[], what: string][]}
 */
export const LISTED = [
  [["Drag"], "Turn the model"],
  [["Wheel", "Pinch"], "Come closer, step back"],
  [["Shift + drag", "Two fingers"], "Move it sideways"],
  [["Double click"], "Look at that point"],
  [["←", "→", "↑", "↓"], "Turn the model"],
  [["Shift + arrows"], "Move it"],
  [["+", "−"], "Come closer, step back"],
  [["F"], "Show all of it"],
  [["R"], "Let it rotate"],
  [["1", "2", "3", "4"], "Textured, clay, wireframe, normals"],
  [["P"], "The photo beside it"],
  [["S"], "Save a picture"],
  [["?"], "This list"],
];

/**
 * @param {{ key: string, shiftKey: boolean, ctrlKey: boolean, metaKey: boolean, altKey: boolean }} event
 * @returns {Action | null} null: the key belongs to the browser
 */
export function actionFor({ key, shiftKey, ctrlKey, metaKey, altKey }) {
  if (ctrlKey || metaKey || altKey) return null;
  if (shiftKey && key in SHIFTED) return SHIFTED[key];
  const name = key.length === 1 ? key.toLowerCase() : key;
  return Object.hasOwn(PLAIN, name) ? PLAIN[name] : null;
}
