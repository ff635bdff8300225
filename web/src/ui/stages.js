/** The stages of a job, in order, in the words of a workshop. */

/** @type {ReadonlyArray<readonly [stage: string, doing: string]>} */
export const STAGES = [
  ["decode", "Reading the photo"],
  ["matte", "Cutting out the object"],
  ["frame", "Framing it"],
  ["reconstruct", "Finding its form"],
  ["render", "Taking pictures from all sides"],
  ["mesh", "Casting the surface"],
  ["texture", "Painting it"],
  ["export", "Writing the files"],
  ["upload", "Laying them ready"],
];

/**
 * @param {string | null} stage
 * @returns {string}
 */
export function doing(stage) {
  return STAGES.find(([name]) => name === stage)?.[1] ?? "Getting ready";
}
