/** What a model measures. */

import { h, setText } from "../ui/dom.js";
import { size } from "../ui/format.js";

/** @typedef {{ vertices: number, faces: number, picture: { width: number } | null, bytes: number }} Drawn */

const ENGINES = new Map([
  ["inflate", "Embedded"],
  ["triposr", "TripoSR"],
]);

/**
 * @param {any} manifest docs/manifest.md; null where there is none
 * @param {{ name: string, bytes?: number }[]} files
 * @returns {{ element: HTMLElement, show(drawn: Drawn): void }} `show`: what the viewer found out
 */
export function createFacts(manifest, files) {
  const mesh = manifest?.mesh ?? {};
  const drawn = h("dd", null, "…");
  const memory = h("dd", null, "…");
  const texture = h("dd", null, "…");
  /** @type {[string, string | null | HTMLElement, string?][]} */
  const rows = [
    ["Size in print", dimensions(mesh.print?.size_mm), "wide, deep, high"],
    ["Volume", mesh.print?.volume_cm3 == null ? null : `${mesh.print.volume_cm3.toFixed(1)} cm³`],
    ["Thinnest wall", length(mesh.print?.thinnest_wall_mm), "an estimate, at that size"],
    ["Overhang", share(mesh.print?.overhang_share), "of the surface; it may need support in print"],
    ["Faces", count(mesh.faces)],
    ["Vertices", count(mesh.vertices)],
    ["Watertight", mesh.watertight === undefined ? null : mesh.watertight ? "Yes" : "No"],
    ["Bodies", count(mesh.bodies)],
    ["Texture", texture],
    ["mesh.glb", size(files.find(({ name }) => name === "mesh.glb")?.bytes) || null],
    ["Engine", manifest?.engine ? (ENGINES.get(manifest.engine) ?? manifest.engine) : null],
    ["Vertices drawn", drawn],
    ["Graphics memory", memory],
  ];
  const element = h(
    "dl",
    { class: "turn-facts" },
    ...rows.map(([name, value, note]) => {
      if (value === null) return null;
      const term = h("dt", null, name, note && h("span", { class: "visually-hidden" }, `, ${note}`));
      return h("div", { title: note }, term, typeof value === "string" ? h("dd", null, value) : value);
    }),
  );
  return {
    element,
    show({ vertices, picture, bytes }) {
      setText(texture, picture ? `${picture.width} px` : "none");
      setText(drawn, count(vertices) ?? "");
      setText(memory, size(bytes));
    },
  };
}

/**
 * @param {number[] | undefined} millimetres
 * @returns {string | null} "92 × 37 × 100 mm", with spaces that no line breaks at
 */
export function dimensions(millimetres) {
  if (!millimetres) return null;
  return `${millimetres.map((side) => (side < 9.95 ? side.toFixed(1) : side.toFixed(0))).join("\u202f×\u202f")}\u00a0mm`;
}

/**
 * @param {number | null | undefined} millimetres
 * @returns {string | null} "1.2 mm"
 */
function length(millimetres) {
  return millimetres == null ? null : `${millimetres.toFixed(millimetres < 9.95 ? 1 : 0)}\u00a0mm`;
}

/**
 * @param {number | undefined} value 0..1
 * @returns {string | null} "12 %"
 */
function share(value) {
  return value === undefined ? null : `${Math.round(value * 100)}\u00a0%`;
}

/**
 * @param {number | undefined} value
 * @returns {string | null} "20 000" with the thin space that belongs there
 */
export function count(value) {
  return value === undefined ? null : String(Math.round(value)).replace(/\B(?=(\d{3})+$)/g, "\u202f");
}
