/** Directions in which a floor looks for light. */

/** @typedef {{ x: number, y: number, z: number, weight: number }} Ray weight: its share of all light */

/** the angle between neighbours on a sunflower: no two seeds ever line up */
const GOLDEN = Math.PI * (3 - Math.sqrt(5));
/** below this rise a shadow would reach farther than any floor */
const LEAST_RISE = 0.12;

/**
 * An evenly lit sky, seen as a matt floor sees it: what stands upright above it counts most (Lambert's cosine law).
 *
 * @param {number} count
 * @param {number} share of all light
 * @returns {Ray[]}
 */
export function sky(count, share) {
  return Array.from({ length: count }, (_, k) => {
    const radius = Math.sqrt((k + 0.5) / count);
    return ray(radius * Math.cos(k * GOLDEN), Math.sqrt(1 - radius * radius), radius * Math.sin(k * GOLDEN), share / count);
  });
}

/**
 * A lamp behind a round diffuser: its shadows are the softer the farther they fall.
 *
 * @param {{ x: number, y: number, z: number }} towards the lamp, of length 1
 * @param {number} spread the diffuser's radius at distance 1
 * @param {number} count
 * @param {number} share of all light
 * @returns {Ray[]}
 */
export function lamp(towards, spread, count, share) {
  const level = Math.hypot(towards.x, towards.z) || 1;
  const side = { x: -towards.z / level, z: towards.x / level };
  const rise = { x: -towards.y * (towards.x / level), y: level, z: -towards.y * (towards.z / level) };
  return Array.from({ length: count }, (_, k) => {
    const radius = spread * Math.sqrt((k + 0.5) / count);
    const [a, b] = [radius * Math.cos(k * GOLDEN), radius * Math.sin(k * GOLDEN)];
    return ray(towards.x + a * side.x + b * rise.x, towards.y + b * rise.y, towards.z + a * side.z + b * rise.z, share / count);
  });
}

/**
 * @param {number} x
 * @param {number} y
 * @param {number} z
 * @param {number} weight
 * @returns {Ray}
 */
function ray(x, y, z, weight) {
  const raised = Math.max(y, LEAST_RISE);
  const length = Math.hypot(x, raised, z);
  return { x: x / length, y: raised / length, z: z / length, weight };
}
