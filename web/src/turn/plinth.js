/** The plinth: plaster, turned on a lathe. */

import { LatheGeometry, Mesh, MeshStandardMaterial, SRGBColorSpace, Vector2 } from "three";

/** around; fine enough that the rim is round at any size of screen */
const SEGMENTS = 128;
/** light that comes back from floor and walls, which the room's map knows nothing of */
const BOUNCED = 0.22;
/** steps of a quarter of a round moulding */
const ROUNDNESS = 7;

export class Plinth {
  #material = new MeshStandardMaterial({ roughness: 0.95, emissiveIntensity: BOUNCED });

  /** @param {{ radius: number, height: number }} size its top lies at y = 0 */
  constructor({ radius, height }) {
    this.height = height;
    this.mesh = new Mesh(new LatheGeometry(profile(radius, height), SEGMENTS), this.#material);
  }

  /** @param {import("./palette.js").Palette} palette */
  paint({ plinth }) {
    this.#material.color.setRGB(...plinth, SRGBColorSpace);
    this.#material.emissive.copy(this.#material.color);
  }

  /** @param {number} opacity 0..1: from below it steps out of the way */
  fade(opacity) {
    this.mesh.visible = opacity > 0.01;
    this.#material.transparent = opacity < 1;
    this.#material.opacity = opacity;
  }

  dispose() {
    this.mesh.geometry.dispose();
    this.#material.dispose();
  }
}

/**
 * From the middle of the top outwards and down: a slab with rounded edges, a hollow that flares (cavetto), a wider foot.
 *
 * @param {number} radius of the top
 * @param {number} height
 */
function profile(radius, height) {
  const [edge, foot] = [height * 0.06, height * 0.09];
  const [slab, flare] = [-height * 0.24, -height * 0.74];
  const neck = radius - height * 0.2;
  const wide = radius + height * 0.14;
  const points = [new Vector2(0, 0), new Vector2(radius - 2 * edge, 0)];
  quarter(points, radius - edge, -edge, edge, Math.PI / 2, 0);
  quarter(points, radius - edge, slab + edge, edge, 0, -Math.PI / 2);
  points.push(new Vector2(neck + edge, slab));
  for (let k = 0; k <= 2 * ROUNDNESS; k += 1) {
    const angle = (k / (2 * ROUNDNESS)) * (Math.PI / 2);
    points.push(new Vector2(neck + height * 0.22 * (1 - Math.cos(angle)), slab + (flare - slab) * Math.sin(angle)));
  }
  quarter(points, wide - foot, flare - foot, foot, Math.PI / 2, 0);
  points.push(new Vector2(wide, -height), new Vector2(0, -height));
  return points.reverse(); // a lathe's outside is on the right of the way up
}

/**
 * @param {Vector2[]} points
 * @param {number} x
 * @param {number} y of the centre
 * @param {number} radius
 * @param {number} from angle
 * @param {number} to angle
 */
function quarter(points, x, y, radius, from, to) {
  for (let k = 0; k <= ROUNDNESS; k += 1) {
    const angle = from + ((to - from) * k) / ROUNDNESS;
    points.push(new Vector2(x + radius * Math.cos(angle), y + radius * Math.sin(angle)));
  }
}
