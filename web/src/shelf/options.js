/** The options of a job as a visitor sees them; the server has the last word on each (docs/api.md). */

/**
 * @typedef {object} Choice
 * @property {string} value
 * @property {string} label
 */
/**
 * @typedef {object} Field
 * @property {string} name as in REST
 * @property {string} label
 * @property {string} hint
 * @property {Choice[]} [choices] a selection; without it the field is a number
 * @property {number} [min]
 * @property {number} [max]
 * @property {number} [step]
 * @property {string | number} standard what the server takes when nothing is said; "" where the engine chooses
 * @property {(text: string) => unknown} [read] from what the form holds to what REST takes; without it the text itself
 */

/**
 * @param {number[]} values
 * @param {string} unit
 * @returns {Choice[]}
 */
const sizes = (values, unit) => values.map((value) => ({ value: String(value), label: `${value} ${unit}` }));

/** @type {readonly Field[]} */
export const FIELDS = [
  {
    name: "engine",
    label: "Engine",
    hint: "TripoSR is learned and guesses unseen sides well; the embedded engine needs nothing.",
    choices: [
      { value: "auto", label: "Best at hand" },
      { value: "triposr", label: "TripoSR" },
      { value: "inflate", label: "Embedded" },
    ],
    standard: "auto",
  },
  {
    name: "background",
    label: "Background",
    hint: "Keep it when the photo is cut out already.",
    choices: [
      { value: "auto", label: "Decide by the photo" },
      { value: "remove", label: "Remove" },
      { value: "keep", label: "Keep as it is" },
    ],
    standard: "auto",
  },
  {
    name: "parts",
    label: "Parts",
    hint: "What to keep when the model falls into several.",
    choices: [
      { value: "largest", label: "The largest" },
      { value: "all", label: "All but crumbs" },
    ],
    standard: "largest",
  },
  { name: "resolution", label: "Fineness", hint: "Samples along one side, 32 to 512.", min: 32, max: 512, step: 32, standard: 256, read: Number },
  { name: "target_faces", label: "Faces", hint: "Triangles of the mesh at most, 500 to 200 000.", min: 500, max: 200000, step: 500, standard: 20000, read: Number },
  {
    name: "lods",
    label: "Coarser models as well",
    hint: "Their faces. Files of their own, for what stands far away.",
    choices: [
      { value: "", label: "None" },
      { value: "5000", label: "5000" },
      { value: "5000,1000", label: "5000, 1000" },
      { value: "5000,1000,300", label: "5000, 1000, 300" },
    ],
    standard: "",
    read: (text) => text.split(",").map(Number),
  },
  {
    name: "texture_size",
    label: "Texture",
    hint: "Side of the picture that is painted on.",
    choices: sizes([256, 512, 1024, 2048, 4096], "px"),
    standard: 1024,
    read: Number,
  },
  {
    name: "texture_source",
    label: "Colours",
    hint: "The photo shows its side of the object sharper than the model remembers it.",
    choices: [
      { value: "auto", label: "Photo, if better" },
      { value: "field", label: "Model alone" },
    ],
    standard: "auto",
  },
  {
    name: "ambient_occlusion",
    label: "Ambient occlusion",
    hint: "A map that darkens what little light gets into.",
    choices: [
      { value: "false", label: "Without" },
      { value: "true", label: "With" },
    ],
    standard: "false",
    read: (text) => text === "true",
  },
  { name: "print_height_mm", label: "Printed height, mm", hint: "Of the STL file, 5 to 2000.", min: 5, max: 2000, step: 5, standard: 100, read: Number },
  { name: "views", label: "Pictures", hint: "In the walk around the model, 4 to 120.", min: 4, max: 120, step: 1, standard: 30, read: Number },
  {
    name: "view_size",
    label: "Size of pictures",
    hint: "Side of each of them.",
    choices: [{ value: "", label: "As the engine likes" }, ...sizes([64, 128, 256, 512, 1024], "px")],
    standard: "",
    read: Number,
  },
  { name: "foreground_ratio", label: "Share of the frame", hint: "That the object fills, 0.5 to 0.98.", min: 0.5, max: 0.98, step: 0.01, standard: 0.85, read: Number },
];

const KEPT = "maquette.options";

/** @returns {Record<string, unknown>} the last choice in this browser, without what is standard */
export function remembered() {
  try {
    const kept = JSON.parse(localStorage.getItem(KEPT) ?? "{}");
    return Object.fromEntries(FIELDS.filter(({ name }) => name in kept).map(({ name }) => [name, kept[name]]));
  } catch {
    return {};
  }
}

/** @param {Record<string, unknown>} chosen */
export function remember(chosen) {
  try {
    localStorage.setItem(KEPT, JSON.stringify(chosen));
  } catch {
    // Storage is blocked: the choice holds until the page is left.
  }
}
