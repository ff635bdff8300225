/** The model as it comes out of a GLB file, and the ways to look at it. */

import { LineSegments, Mesh, MeshStandardMaterial, Vector3, WireframeGeometry } from "three";
import { GLTFLoader } from "three/addons/loaders/GLTFLoader.js";
import { materialsFor } from "./modes.js";
import { standOf } from "./stand.js";
import { geometryBytes, textureBytes } from "./stats.js";

/** @typedef {import("./modes.js").Mode} Mode */

export class Model {
  /** @type {Mesh[]} */
  meshes = [];
  /** @type {LineSegments | null} made when they are first asked for */
  #lines = null;
  /** @type {Mode} */
  #mode = "textured";
  #materials;

  /**
   * @param {import("three").Group} group
   * @param {number} anisotropy how sharp textures stay at a slant
   */
  constructor(group, anisotropy) {
    this.group = group;
    group.updateMatrixWorld(true);
    group.traverse((thing) => {
      if (thing instanceof Mesh) this.meshes.push(thing);
    });
    const [first] = this.meshes;
    if (!first || !(first.material instanceof MeshStandardMaterial)) throw new Error("The file holds no surface.");
    this.stand = standOf(placesOf(first));
    this.#materials = materialsFor(first.material, anisotropy);
    this.mode = "textured";
  }

  /**
   * @param {ArrayBuffer} glb
   * @param {number} anisotropy
   * @returns {Promise<Model>}
   */
  static async from(glb, anisotropy) {
    const { scene } = await new GLTFLoader().parseAsync(glb, "");
    return new Model(scene, anisotropy);
  }

  get mode() {
    return this.#mode;
  }

  set mode(mode) {
    this.#mode = mode;
    const [first] = this.meshes;
    for (const mesh of this.meshes) mesh.material = this.#materials[mode];
    if (mode === "wireframe" && !this.#lines) {
      this.#lines = new LineSegments(new WireframeGeometry(first.geometry), this.#materials.lines);
      first.add(this.#lines);
    }
    if (this.#lines) this.#lines.visible = mode === "wireframe";
  }

  /** @param {import("./palette.js").Palette} palette */
  paint(palette) {
    this.#materials.paint(palette);
  }

  /** how many vertices are drawn */
  get vertices() {
    return this.meshes.reduce((total, { geometry }) => total + geometry.attributes.position.count, 0);
  }

  /** how many triangles are drawn */
  get faces() {
    return this.meshes.reduce((total, { geometry }) => total + (geometry.index?.count ?? geometry.attributes.position.count) / 3, 0);
  }

  /** @returns {{ width: number, height: number } | null} of the texture */
  get picture() {
    const image = /** @type {{ width: number, height: number } | undefined} */ (this.#materials.textured.map?.image);
    return image ? { width: image.width, height: image.height } : null;
  }

  /** bytes on the graphics card */
  get bytes() {
    const geometries = this.meshes.map(({ geometry }) => geometry);
    if (this.#lines) geometries.push(this.#lines.geometry);
    const buffers = geometries.reduce((total, geometry) => total + geometryBytes(geometry), 0);
    return this.#materials.pictures.reduce((total, { image }) => {
      const { width, height } = /** @type {{ width: number, height: number }} */ (image);
      return total + textureBytes(width, height, { mipmaps: true });
    }, buffers);
  }

  dispose() {
    for (const { geometry } of this.meshes) geometry.dispose();
    this.#lines?.geometry.dispose();
    this.#materials.dispose();
  }
}

/**
 * @param {Mesh} mesh a file may hold whole numbers, of which only the node's scale makes lengths
 * @returns {Float32Array} x, y, z of each vertex in the world
 */
function placesOf({ geometry, matrixWorld }) {
  const { position } = geometry.attributes;
  const places = new Float32Array(3 * position.count);
  const place = new Vector3();
  for (let k = 0; k < position.count; k += 1) place.fromBufferAttribute(position, k).applyMatrix4(matrixWorld).toArray(places, 3 * k);
  return places;
}
