/** Headers of pictures of any size: nothing but what says how large they are. */

/** @param {string} text */
const ascii = (text) => [...text].map((letter) => letter.charCodeAt(0));
/** @param {number[]} values */
const be16 = (...values) => values.flatMap((value) => [value >>> 8, value & 255]);
/** @param {number[]} values */
const be32 = (...values) => values.flatMap((value) => be16(value >>> 16, value & 0xffff));
/** @param {number[]} values */
const le16 = (...values) => values.flatMap((value) => [value & 255, value >>> 8]);
/** @param {number[]} values */
const le32 = (...values) => values.flatMap((value) => le16(value & 0xffff, value >>> 16));
/** @param {string} name @param {number[]} content */
const box = (name, content) => [...be32(8 + content.length), ...ascii(name), ...content];
/** @param {string} brand @param {number} width @param {number} height */
const heif = (brand, width, height) => {
  const ispe = (/** @type {number} */ w, /** @type {number} */ h) => box("ispe", [...be32(0), ...be32(w, h)]);
  const properties = box("iprp", box("ipco", [...ispe(512, 512), ...ispe(width, height), ...ispe(64, 64)]));
  return [...box("ftyp", [...ascii(brand), ...be32(0), ...ascii("mif1")]), ...box("free", [1, 2]), ...box("meta", [...be32(0), ...properties])];
};

/** @type {Record<string, (width: number, height: number) => Uint8Array>} */
export const HEADERS = {
  "image/jpeg": (width, height) =>
    new Uint8Array([0xff, 0xd8, 0xff, 0xe0, ...be16(16), ...ascii("JFIF\0"), 1, 1, 0, ...be16(1, 1), 0, 0, 0xff, 0xff, 0xc2, ...be16(17), 8, ...be16(height, width), 3]),
  "image/png": (width, height) => new Uint8Array([0x89, ...ascii("PNG\r\n\x1a\n"), ...be32(13), ...ascii("IHDR"), ...be32(width, height), 8, 6, 0, 0, 0]),
  "image/gif": (width, height) => new Uint8Array([...ascii("GIF89a"), ...le16(width, height), 0, 0, 0]),
  "image/bmp": (width, height) => new Uint8Array([...ascii("BM"), ...le32(0, 0, 54, 40, width, 2 ** 32 - height), ...le16(1, 24)]),
  "image/webp": (width, height) =>
    new Uint8Array([...ascii("RIFF"), ...le32(22), ...ascii("WEBPVP8X"), ...le32(10, 0), ...le32(width - 1).slice(0, 3), ...le32(height - 1).slice(0, 3), 0]),
  "image/tiff": (width, height) =>
    new Uint8Array([...ascii("MM"), ...be16(42), ...be32(12), ...be32(0), ...be16(3), ...be16(254, 4), ...be32(1, 0), ...be16(256, 3), ...be32(1), ...be16(width, 0), ...be16(257, 4), ...be32(1, height)]),
  "image/avif": (width, height) => new Uint8Array(heif("avif", width, height)),
  "image/heic": (width, height) => new Uint8Array(heif("heic", width, height)),
};
