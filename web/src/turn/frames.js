/** The pictures from all sides, under the finger. */

import { announce } from "../ui/announce.js";
import { h, setText } from "../ui/dom.js";
import { around } from "./around.js";

const FRAME = /^render_\d+\.png$/;
/** fetched before they are asked for, on either side of the one that is seen */
const AROUND = 3;

/**
 * @param {import("../cloud/artifacts.js").Artifacts} artifacts
 * @returns {{ element: HTMLElement, show(): void }} `show`: it is to be seen now, so fetch what that needs
 */
export function createFrames(artifacts) {
  const names = artifacts.files.map(({ name }) => name).filter((name) => FRAME.test(name)).sort(); // prettier-ignore
  /** @type {Map<number, Promise<HTMLImageElement>>} */
  const pictures = new Map();
  const print = h("div", { class: "frames-print" });
  const range = h("input", { type: "range", class: "frames-range", min: 0, max: Math.max(0, names.length - 1), step: 1, value: 0, "aria-label": "Way around the model", oninput: () => go(Number(range.value)) });
  const line = h("output", { class: "frames-line" });
  const element = h("div", { class: "frames" }, print, h("div", { class: "frames-bar" }, range, line));
  let index = 0;

  /** @param {number} k */
  function picture(k) {
    let coming = pictures.get(k);
    if (!coming) {
      coming = load(artifacts, names[k]);
      coming.catch(() => pictures.delete(k)); // asked for again when it is wanted again
      pictures.set(k, coming);
    }
    return coming;
  }

  /** @param {number} wanted */
  async function go(wanted) {
    index = around(wanted, names.length);
    const mine = index;
    const words = `${mine + 1} of ${names.length}, ${Math.round((mine / names.length) * 360)}°`;
    range.value = String(mine);
    range.setAttribute("aria-valuetext", words);
    setText(line, words);
    try {
      const image = await picture(mine);
      if (mine === index && print.firstChild !== image) print.replaceChildren(image);
      // One after the other, nearest first: what the hand is about to reach must not wait behind the rest.
      for (let far = 1; far <= AROUND && mine === index; far += 1) {
        await Promise.all([picture(around(mine + far, names.length)), picture(around(mine - far, names.length))]);
      }
    } catch (error) {
      announce(/** @type {Error} */ (error).message);
    }
  }

  /** @type {{ x: number, index: number } | null} */
  let held = null;
  print.addEventListener("pointerdown", (event) => {
    print.setPointerCapture(event.pointerId);
    held = { x: event.clientX, index };
  });
  print.addEventListener("pointermove", (event) => {
    if (!held) return;
    const share = (held.x - event.clientX) / print.clientWidth;
    const wanted = around(held.index + Math.round(share * names.length), names.length);
    if (wanted !== index) void go(wanted);
  });
  for (const name of ["pointerup", "pointercancel"]) print.addEventListener(name, () => (held = null));

  return { element, show: () => void go(index) };
}

/**
 * Raises CloudError, or an EncodingError where the picture cannot be read.
 *
 * @param {import("../cloud/artifacts.js").Artifacts} artifacts
 * @param {string} name
 */
async function load(artifacts, name) {
  const image = h("img", { alt: "", draggable: "false", width: 512, height: 512, src: await artifacts.url(name) });
  await image.decode();
  return image;
}
