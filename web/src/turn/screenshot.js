/** Pictures of the present view, to keep. */

import { save } from "../ui/save.js";

/** pixels of the longer side, at least: enough for a printed page */
const SIDE = 2400;
/** milliseconds after which the browser has begun to save */
const SAVED = 60_000;

/**
 * @param {import("./viewer.js").Viewer} viewer
 * @param {string} filename of the photo
 */
export async function saveScreenshot(viewer, filename) {
  const url = URL.createObjectURL(await viewer.capture(SIDE));
  save(url, `${stem(filename)}.png`);
  setTimeout(() => URL.revokeObjectURL(url), SAVED);
}

/**
 * @param {string} filename
 * @returns {string} without its ending
 */
export function stem(filename) {
  return filename.replace(/\.[^.]+$/, "") || "model";
}
