/**
 * A picture's width and height from its header, without decoding it: a few bytes may announce gigabytes of pixels,
 * and browsers decode neither HEIC nor TIFF.
 *
 * References: ISO/IEC 10918-1, B.2 (JPEG); PNG 3rd edition, 11.2.1; GIF89a, 18; BITMAPINFOHEADER; RFC 9649 (WebP);
 * TIFF 6.0, section 2; ISO/IEC 23008-12, 6.5.3 (HEIF and AVIF).
 */

/** @typedef {{ width: number, height: number }} Size pixels, as stored: not turned upright yet, and a HEIC's odd sides still rounded up */

/** more segments, boxes or entries than any honest file has before its size is known */
const MOST_STEPS = 1000;
/** bytes of a HEIF file's description that are looked at */
const LARGEST_META = 2 ** 20;

/** @type {Readonly<Record<string, (file: Blob) => Promise<Size | null>>>} */
const READERS = {
  "image/jpeg": jpeg,
  "image/png": async (file) => {
    const view = await look(file, 0, 24);
    return { width: view.getUint32(16), height: view.getUint32(20) };
  },
  "image/gif": async (file) => {
    const view = await look(file, 0, 10);
    return { width: view.getUint16(6, true), height: view.getUint16(8, true) };
  },
  "image/bmp": bmp,
  "image/webp": webp,
  "image/tiff": tiff,
  "image/avif": heif,
  "image/heic": heif,
};

/**
 * @param {Blob} file
 * @param {string} type its Content-Type, as sniffed
 * @returns {Promise<Size | null>} null where the header does not tell
 */
export async function measure(file, type) {
  try {
    const size = (await READERS[type]?.(file)) ?? null;
    return size && size.width > 0 && size.height > 0 ? size : null;
  } catch (error) {
    if (error instanceof RangeError) return null; // the header is cut short: the server says so in its own words
    throw error;
  }
}

/** @param {Blob} file */
async function jpeg(file) {
  let at = 2;
  for (let step = 0; step < MOST_STEPS; step += 1) {
    const view = await look(file, at, 9);
    const marker = view.getUint8(1);
    if (view.getUint8(0) !== 0xff || marker === 0xda || marker === 0xd9) return null;
    if (marker === 0xff) at += 1;
    else if (marker === 0x01 || (marker >= 0xd0 && marker <= 0xd8)) at += 2;
    else if (marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker)) {
      return { width: view.getUint16(7), height: view.getUint16(5) };
    } else at += 2 + view.getUint16(2);
  }
  return null;
}

/** @param {Blob} file */
async function bmp(file) {
  const view = await look(file, 0, 26);
  if (view.getUint32(14, true) === 12) return { width: view.getUint16(18, true), height: view.getUint16(20, true) };
  return { width: view.getInt32(18, true), height: Math.abs(view.getInt32(22, true)) };
}

/** @param {Blob} file */
async function webp(file) {
  const view = await look(file, 0, 30);
  switch (String.fromCharCode(...[12, 13, 14, 15].map((at) => view.getUint8(at)))) {
    case "VP8X":
      return { width: 1 + (view.getUint32(24, true) & 0xffffff), height: 1 + (view.getUint32(26, true) >>> 8) };
    case "VP8L": {
      const bits = view.getUint32(21, true);
      return { width: 1 + (bits & 0x3fff), height: 1 + ((bits >>> 14) & 0x3fff) };
    }
    case "VP8 ":
      return { width: view.getUint16(26, true) & 0x3fff, height: view.getUint16(28, true) & 0x3fff };
  }
  return null;
}

/** @param {Blob} file */
async function tiff(file) {
  const head = await look(file, 0, 8);
  const little = head.getUint8(0) === 0x49;
  if (head.getUint16(2, little) !== 42) return null; // BigTIFF is rare enough to leave it to the server
  const start = head.getUint32(4, little);
  const count = Math.min(MOST_STEPS, (await look(file, start, 2)).getUint16(0, little));
  const entries = await look(file, start + 2, 12 * count);
  /** @type {Map<number, number>} */
  const values = new Map();
  for (let at = 0; at < 12 * count; at += 12) {
    const short = entries.getUint16(at + 2, little) === 3;
    values.set(entries.getUint16(at, little), short ? entries.getUint16(at + 8, little) : entries.getUint32(at + 8, little));
  }
  return { width: values.get(256) ?? 0, height: values.get(257) ?? 0 };
}

/**
 * The largest `ispe` property: that of the whole picture, where others are of its tiles and thumbnails.
 *
 * @param {Blob} file
 */
async function heif(file) {
  let at = 0;
  for (let step = 0; step < MOST_STEPS; step += 1) {
    const head = await look(file, at, 8);
    const size = head.getUint32(0);
    if (head.getUint32(4) === code("meta")) {
      const meta = await look(file, at, Math.min(size, LARGEST_META));
      return meta.byteLength === size ? largest(meta) : null; // of a part, a tile might pass for the whole
    }
    if (size < 8) return null; // 0: to the end of the file; 1: a size of 64 bits, which no small box has
    at += size;
  }
  return null;
}

/** @param {DataView} meta */
function largest(meta) {
  /** @type {Size | null} */
  let found = null;
  for (let at = 0; at + 20 <= meta.byteLength; at += 1) {
    if (meta.getUint32(at) !== 20 || meta.getUint32(at + 4) !== code("ispe")) continue;
    const size = { width: meta.getUint32(at + 12), height: meta.getUint32(at + 16) };
    if (!found || size.width * size.height > found.width * found.height) found = size;
  }
  return found;
}

/** @param {string} name of a box */
function code(name) {
  return [...name].reduce((value, letter) => value * 256 + letter.charCodeAt(0), 0);
}

/**
 * Raises RangeError, when it is read from, where the file is shorter.
 *
 * @param {Blob} file
 * @param {number} at
 * @param {number} count
 * @returns {Promise<DataView>}
 */
async function look(file, at, count) {
  return new DataView(await file.slice(at, at + count).arrayBuffer());
}
