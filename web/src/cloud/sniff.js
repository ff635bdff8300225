/** What a file is, told from its first bytes and never from its name; the server does the same (gpu_container/sniff.py). */

/** @param {string} text */
const bytes = (text) => [...text].map((letter) => letter.charCodeAt(0));

/** @type {ReadonlyArray<readonly [start: number[], type: string]>} */
const PICTURES = [
  [[0xff, 0xd8, 0xff], "image/jpeg"],
  [[0x89, ...bytes("PNG\r\n\x1a\n")], "image/png"],
  [bytes("GIF87a"), "image/gif"],
  [bytes("GIF89a"), "image/gif"],
  [bytes("BM"), "image/bmp"],
  [bytes("II*\0"), "image/tiff"],
  [bytes("MM\0*"), "image/tiff"],
];

/** @type {ReadonlyArray<readonly [start: number[], what: string]>} */
const STRANGERS = [
  [bytes("%PDF"), "a PDF document"],
  [bytes("PK\x03\x04"), "a ZIP archive or an office document"],
  [bytes("8BPS"), "a Photoshop document"],
  [[0xff, 0x0a], "a JPEG XL picture"],
  [bytes("\0\0\0\x0cJXL "), "a JPEG XL picture"],
  [bytes("\0\0\0\x0cjP  "), "a JPEG 2000 picture"],
  [bytes("\0\0\x01\0"), "an icon"],
  [[0x1a, 0x45, 0xdf, 0xa3], "a video"],
  [bytes("glTF"), "a 3D model"],
];

const AVIF = new Set(["avif", "avis"]);
const HEIC = new Set(["heic", "heix", "heim", "heis", "hevc", "hevx", "mif1", "mif2", "msf1"]);

/** bytes that are enough to tell */
export const HEAD = 512;

/**
 * @param {Uint8Array} head the first {@link HEAD} bytes
 * @returns {{ type: string } | { stranger: string }} a picture's Content-Type, or what else it seems to be
 */
export function sniff(head) {
  /** @param {readonly [start: number[], ...unknown[]]} entry */
  const fits = ([start]) => start.every((byte, index) => head[index] === byte);
  const picture = PICTURES.find(fits);
  if (picture) return { type: picture[1] };
  if (text(head, 0, 4) === "RIFF" && text(head, 8, 12) === "WEBP") return { type: "image/webp" };
  if (text(head, 4, 8) === "ftyp") return media(head);
  const stranger = STRANGERS.find(fits);
  return { stranger: stranger ? stranger[1] : wording(head) };
}

/**
 * Brands of the ISO base media file type box (ISO/IEC 23008-12, annex B).
 *
 * @param {Uint8Array} head
 */
function media(head) {
  const length = Math.min(head.length, ((head[2] ?? 0) << 8) | (head[3] ?? 0) || head.length);
  const brands = [text(head, 8, 12)];
  for (let at = 16; at + 4 <= length; at += 4) brands.push(text(head, at, at + 4));
  if (brands.some((brand) => AVIF.has(brand))) return { type: "image/avif" };
  if (brands.some((brand) => HEIC.has(brand))) return { type: "image/heic" };
  return { stranger: "a video" };
}

/**
 * @param {Uint8Array} head
 * @returns {string}
 */
function wording(head) {
  const start = new TextDecoder().decode(head).trimStart().toLowerCase();
  if (start.startsWith("<!doctype html") || start.startsWith("<html") || start.includes("<body") || start.includes("<script")) return "an HTML page";
  if (start.startsWith("<svg") || (start.startsWith("<?xml") && start.includes("<svg"))) return "an SVG drawing";
  if (!/[\u0000-\u0008\u000e-\u001f\ufffd]/.test(start)) return "a text";
  return "something else";
}

/**
 * @param {Uint8Array} head
 * @param {number} from
 * @param {number} to
 */
function text(head, from, to) {
  return String.fromCharCode(...head.subarray(from, to));
}
