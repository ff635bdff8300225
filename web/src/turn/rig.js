/**
 * Where the camera stands, and where it is going.
 *
 * It looks at a target from a sphere around it: azimuth 0 is the model's front (+z), growing towards +x; elevation grows
 * upwards. What moves it sets a goal; {@link Rig.step} brings the camera there, the faster the farther it still is, so
 * that the way does not depend on how many pictures a second are drawn. Angles in radians, lengths in the model's units.
 */

/** @typedef {{ azimuth: number, elevation: number, distance: number, x: number, y: number, z: number }} View */

/** seconds in which two thirds of a way are gone */
const EASE = 0.09;
/** closer to its goal than this share of a way nobody sees a difference */
const ARRIVED = 2e-4;
const LOWEST = -1.35;
const HIGHEST = 1.45;

export class Rig {
  /** @type {View} */
  now;
  /** @type {View} */
  goal;
  #home;
  #reach;

  /**
   * @param {View} home
   * @param {number} reach the model's size: how far the target may be taken from it
   */
  constructor(home, reach) {
    this.#home = { ...home };
    this.#reach = reach;
    this.now = { ...home };
    this.goal = { ...home };
  }

  /**
   * @param {number} right radians that the camera goes round to the model's right
   * @param {number} up radians that it rises
   */
  orbit(right, up) {
    this.goal.azimuth += right;
    this.goal.elevation = clamp(this.goal.elevation + up, LOWEST, HIGHEST);
  }

  /** @param {number} factor of the distance: below 1 comes closer */
  zoom(factor) {
    this.goal.distance = clamp(this.goal.distance * factor, this.#reach * 0.12, this.#home.distance * 3);
  }

  /**
   * Take the model along in the picture's plane.
   *
   * @param {number} right
   * @param {number} up both as shares of the distance
   */
  pan(right, up) {
    const { azimuth, elevation, distance } = this.goal;
    const [sin, cos] = [Math.sin(azimuth), Math.cos(azimuth)];
    const [tilt, level] = [Math.sin(elevation), Math.cos(elevation)];
    this.goal.x = this.#near("x", this.goal.x - distance * (right * cos - up * tilt * sin));
    this.goal.y = this.#near("y", this.goal.y - distance * up * level);
    this.goal.z = this.#near("z", this.goal.z - distance * (-right * sin - up * tilt * cos));
  }

  /**
   * Look at a point, from closer by.
   *
   * @param {{ x: number, y: number, z: number }} point
   */
  focus({ x, y, z }) {
    Object.assign(this.goal, { x, y, z });
    this.zoom(Math.min(1, (this.#reach * 1.1) / this.goal.distance));
  }

  /** Back to where it began, the short way round. */
  frame() {
    const turns = Math.round((this.goal.azimuth - this.#home.azimuth) / (2 * Math.PI));
    this.goal = { ...this.#home, azimuth: this.#home.azimuth + turns * 2 * Math.PI };
  }

  /**
   * The room has changed its shape: what filled it still fills it.
   *
   * @param {number} distance from which the whole model can be seen now
   */
  refit(distance) {
    const factor = distance / this.#home.distance;
    this.#home.distance = distance;
    this.goal.distance *= factor;
    this.now.distance *= factor;
  }

  /**
   * @param {number} seconds since the last step; Infinity goes the whole way at once
   * @returns {boolean} whether there is still some way to go
   */
  step(seconds) {
    const share = 1 - Math.exp(-seconds / EASE);
    let left = 0;
    for (const name of /** @type {(keyof View)[]} */ (Object.keys(this.now))) {
      const way = this.goal[name] - this.now[name];
      this.now[name] += way * share;
      left = Math.max(left, Math.abs(way * (1 - share)));
    }
    if (left > ARRIVED * Math.min(1, this.#reach)) return true;
    this.now = { ...this.goal };
    return false;
  }

  /** @returns {[x: number, y: number, z: number]} where the camera is now */
  position() {
    const { azimuth, elevation, distance, x, y, z } = this.now;
    const level = distance * Math.cos(elevation);
    return [x + level * Math.sin(azimuth), y + distance * Math.sin(elevation), z + level * Math.cos(azimuth)];
  }

  /**
   * @param {"x" | "y" | "z"} axis
   * @param {number} value
   */
  #near(axis, value) {
    return clamp(value, this.#home[axis] - this.#reach, this.#home[axis] + this.#reach);
  }
}

/**
 * @param {number} value
 * @param {number} low
 * @param {number} high
 */
function clamp(value, low, high) {
  return Math.min(high, Math.max(low, value));
}
