/** What a model costs the graphics card. */

/**
 * @param {{ attributes: Record<string, { array: { byteLength: number } }>, index: { array: { byteLength: number } } | null }} geometry
 * @returns {number} bytes of its buffers
 */
export function geometryBytes({ attributes, index }) {
  const buffers = Object.values(attributes).map(({ array }) => array.byteLength);
  return buffers.reduce((total, bytes) => total + bytes, index?.array.byteLength ?? 0);
}

/**
 * @param {number} width
 * @param {number} height
 * @param {{ mipmaps?: boolean, bytesPerPixel?: number }} [how]
 * @returns {number} bytes; smaller copies for a distance add a third
 */
export function textureBytes(width, height, { mipmaps = false, bytesPerPixel = 4 } = {}) {
  return Math.round(width * height * bytesPerPixel * (mipmaps ? 4 / 3 : 1));
}
