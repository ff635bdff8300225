/** Counting on a circle. */

/**
 * @param {number} index
 * @param {number} count
 * @returns {number} the way around has no end
 */
export function around(index, count) {
  return count > 0 ? ((index % count) + count) % count : 0;
}
