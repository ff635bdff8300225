/** What there is to take home: every file, all of them as one, a link for others. */

import { announce } from "../ui/announce.js";
import { h, setText } from "../ui/dom.js";
import { percent, size } from "../ui/format.js";
import { icon } from "../ui/icons.js";
import { save } from "../ui/save.js";
import { createShare } from "./share.js";

/** @typedef {import("../cloud/rest.js").Job} Job */
/** @typedef {import("../cloud/artifacts.js").Artifacts} Artifacts */

/** What the files are for, by name; the pictures of the walk around the model are listed as one. */
const PURPOSES = new Map([
  ["mesh.glb", "The model, textured: browsers, Blender, game engines"],
  ["mesh_small.glb", "The same in a quarter of the bytes: for a web page"],
  ["mesh.stl", "For the 3D printer, in millimetres"],
  ["mesh.3mf", "For the 3D printer, in colour"],
  ["mesh.usdz", "For iPhone and iPad: set it in your room"],
  ["mesh.obj", "The model for older programs"],
  ["mesh.mtl", "Belongs to the OBJ file"],
  ["mesh_texture.png", "What is painted on it"],
  ["mesh_normal.png", "Its relief, as a normal map"],
  ["mesh_occlusion.png", "Where little light gets in, as a map"],
  ...[1, 2, 3, 4].map((number) => /** @type {const} */ ([`mesh_lod${number}.glb`, "In fewer faces: for what stands far away"])),
  ["mesh.ply", "With a colour at every corner: MeshLab, CloudCompare"],
  ["render.mp4", "A turn around it, as a video"],
  ["poster.webp", "A portrait of it"],
  ["input.png", "The object as it was cut out"],
  ["manifest.json", "How it was made, and what it measures"],
]);
const VIEW = /^render_\d+\.png$/;

/**
 * @param {{ job: Job, artifacts: Artifacts, sharing: import("./share.js").Sharing | null }} given
 *   `sharing` null: this page is itself one that was shared
 */
export function createTake({ job, artifacts, sharing }) {
  const views = artifacts.files.filter((file) => VIEW.test(file.name));
  const files = artifacts.files.filter((file) => !VIEW.test(file.name)).sort(byPurpose);
  return h(
    "section",
    { class: "take", "aria-labelledby": "take-title" },
    h("h2", { id: "take-title" }, "Take it home"),
    h("ul", { class: "files" }, ...files.map((file) => row(file, artifacts))),
    h(
      "details",
      { class: "fold" },
      h("summary", null, h("span", null, `${views.length} pictures from all sides`), h("span", { class: "fold-count" }, size(sum(views))), icon("chevron")),
      h("ul", { class: "files" }, ...views.map((file) => row(file, artifacts))),
    ),
    h("div", { class: "take-ways" }, zipButton(job, artifacts), sharing && createShare(sharing)),
  );
}

/**
 * @param {{ name: string }} a
 * @param {{ name: string }} b
 */
function byPurpose(a, b) {
  const order = [...PURPOSES.keys()];
  const place = (/** @type {string} */ name) => order.indexOf(name) + 1 || order.length + 1;
  return place(a.name) - place(b.name) || a.name.localeCompare(b.name);
}

/**
 * @param {{ bytes?: number }[]} files
 * @returns {number} bytes of all of them
 */
function sum(files) {
  return files.reduce((total, file) => total + (file.bytes ?? 0), 0);
}

/**
 * @param {{ name: string, bytes?: number }} file
 * @param {Artifacts} artifacts
 */
function row(file, artifacts) {
  const button = h(
    "button",
    {
      type: "button",
      class: "file-get",
      "aria-label": `Download ${file.name}`,
      onclick: () =>
        // The link is asked for when it is wanted: one that was made with the page may have ended long ago.
        artifacts.url(file.name).then(
          (url) => save(url, file.name),
          (error) => announce(error.message),
        ),
    },
    icon("download"),
  );
  return h(
    "li",
    { class: "file" },
    h("span", { class: "file-name" }, file.name),
    h("span", { class: "file-purpose" }, PURPOSES.get(file.name) ?? ""),
    h("span", { class: "file-size" }, size(file.bytes)),
    button,
  );
}

/**
 * @param {Job} job
 * @param {Artifacts} artifacts
 */
function zipButton(job, artifacts) {
  const total = sum(artifacts.files);
  const name = job.source.filename.replace(/\.[^.]*$/, "") || "model";
  const label = h("span", null, `All as ZIP, ${size(total)}`);
  const button = h("button", { type: "button", class: "button", onclick: () => void run() }, icon("download"), label);

  async function run() {
    button.disabled = true;
    try {
      const zip = await artifacts.zip({ name, onProgress: (fraction) => setText(label, `Packing, ${percent(fraction)}`) });
      const url = URL.createObjectURL(zip);
      save(url, `${name}.zip`);
      setTimeout(() => URL.revokeObjectURL(url), 60_000); // the download has begun by then
    } catch (error) {
      announce(/** @type {Error} */ (error).message);
    } finally {
      button.disabled = false;
      setText(label, `All as ZIP, ${size(total)}`);
    }
  }
  return button;
}
