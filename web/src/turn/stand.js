/** How a model stands: what it touches the ground with, the plinth that carries it, the distance that shows it whole. */

/** share of the height that counts as touching the ground: surfaces from a photo are not perfectly flat below */
const SOLE = 0.035;
/** how far the plinth reaches beyond what stands on it, and the least share of the model's own reach that it has */
const MARGIN = 1.22;
const LEAST = 0.6;
/** of the model's size */
const PLINTH_HEIGHT = 0.15;
/** air around what is framed */
const AIR = 1.18;

/**
 * Centres are of the model's own coordinates, y up; `radius` is the model's reach from the axis through `middle`.
 *
 * @typedef {object} Stand
 * @property {{ x: number, y: number, z: number }} foot the middle of what touches the ground
 * @property {{ x: number, y: number, z: number }} middle of the box around everything
 * @property {{ x: number, y: number, z: number }} size of that box
 * @property {number} radius
 * @property {{ radius: number, height: number }} plinth
 */

/**
 * @param {ArrayLike<number>} positions x, y, z of each vertex, y up
 * @returns {Stand}
 */
export function standOf(positions) {
  const box = boxOf(positions, Infinity);
  const height = box.high[1] - box.low[1];
  const sole = boxOf(positions, box.low[1] + SOLE * height);
  const foot = { x: (sole.low[0] + sole.high[0]) / 2, y: box.low[1], z: (sole.low[2] + sole.high[2]) / 2 };
  const middle = { x: (box.low[0] + box.high[0]) / 2, y: (box.low[1] + box.high[1]) / 2, z: (box.low[2] + box.high[2]) / 2 };
  const carried = reach(positions, foot, box.low[1] + SOLE * height);
  const radius = reach(positions, middle, Infinity);
  const size = { x: box.high[0] - box.low[0], y: height, z: box.high[2] - box.low[2] };
  const plinth = {
    radius: Math.max(carried * MARGIN, radius * LEAST),
    height: PLINTH_HEIGHT * Math.max(height, 2 * radius),
  };
  return { foot, middle, size, radius, plinth };
}

/**
 * The distance from which model and plinth are seen whole from every side.
 *
 * @param {Stand} stand
 * @param {number} fov vertical, radians
 * @param {number} aspect width by height
 */
export function distanceFor({ size, radius, plinth }, fov, aspect) {
  const half = Math.tan(fov / 2);
  const wide = Math.max(radius, plinth.radius);
  const upright = (AIR * (size.y + plinth.height)) / 2 / half;
  const across = (AIR * wide) / (half * aspect);
  return Math.max(upright, across) + wide * 0.6; // what is in front is nearer, thus larger
}

/**
 * @param {ArrayLike<number>} positions
 * @param {number} below only vertices that are not higher
 */
function boxOf(positions, below) {
  const low = [Infinity, Infinity, Infinity];
  const high = [-Infinity, -Infinity, -Infinity];
  for (let i = 0; i < positions.length; i += 3) {
    if (positions[i + 1] > below) continue;
    for (let axis = 0; axis < 3; axis += 1) {
      low[axis] = Math.min(low[axis], positions[i + axis]);
      high[axis] = Math.max(high[axis], positions[i + axis]);
    }
  }
  return { low, high };
}

/**
 * @param {ArrayLike<number>} positions
 * @param {{ x: number, z: number }} axis
 * @param {number} below
 * @returns {number} the greatest distance of a vertex from the upright axis
 */
function reach(positions, axis, below) {
  let most = 0;
  for (let i = 0; i < positions.length; i += 3) {
    if (positions[i + 1] <= below) most = Math.max(most, Math.hypot(positions[i] - axis.x, positions[i + 2] - axis.z));
  }
  return most;
}
