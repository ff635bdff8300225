/** A plinth of turned plaster that waits for something to stand on it. */

const SVG = "http://www.w3.org/2000/svg";

/** @type {ReadonlyArray<readonly [name: string, line: string]>} */
const PARTS = [
  ["plinth-shadow", "M36 226c0-7 38-13 84-13s84 6 84 13-38 13-84 13-84-6-84-13z"],
  ["plinth-body", "M74 124v92c0 8 20 14 46 14s46-6 46-14v-92z"],
  ["plinth-side", "M128 136v94c22-1 38-6 38-14v-88z"],
  ["plinth-body", "M58 100v14c0 10 28 18 62 18s62-8 62-18v-14z"],
  ["plinth-side", "M128 116v16c30-1 54-8 54-18v-14z"],
  ["plinth-face", "M58 100c0-10 28-17 62-17s62 7 62 17-28 17-62 17-62-7-62-17z"],
];
/** @type {typeof PARTS} */
const GUEST = [
  ["plinth-guest", "M84 96 90 18l66 5-6 78z"],
  ["plinth-guest", "m96 80 15-24 14 17 9-11 10 21"],
  ["plinth-guest", "M130 46a7 7 0 1 0 14 1 7 7 0 0 0-14-1z"],
];

/**
 * @param {{ guest: boolean }} how `guest`: with the outline of a photo where the model will stand
 * @returns {SVGElement}
 */
export function plinth({ guest }) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 240 244");
  svg.setAttribute("class", "plinth");
  svg.setAttribute("aria-hidden", "true");
  for (const [name, line] of guest ? [...PARTS, ...GUEST] : PARTS) {
    const path = document.createElementNS(SVG, "path");
    path.setAttribute("class", name);
    path.setAttribute("d", line);
    svg.append(path);
  }
  return svg;
}
