/** What a file is, told from its bytes and never from its name; the server does the same (gpu_container/sniff.py). */

/** @param {string} text one letter for each byte */
const bytes = (text) => [...text].map((letter) => letter.charCodeAt(0));

/** @type {ReadonlyArray<readonly [start: number[], type: string]>} */
const PICTURES = [
  [bytes("\xff\xd8\xff"), "image/jpeg"],
  [bytes("\x89PNG\r\n\x1a\n"), "image/png"],
  [bytes("GIF87a"), "image/gif"],
  [bytes("GIF89a"), "image/gif"],
  [bytes("BM"), "image/bmp"],
  [bytes("II*\0"), "image/tiff"],
  [bytes("MM\0*"), "image/tiff"],
  [bytes("II+\0"), "image/tiff"],
  [bytes("MM\0+"), "image/tiff"],
];

/** What people send by mistake, with an article for the sentence. */
/** @type {ReadonlyArray<readonly [start: number[], what: string]>} */
const STRANGERS = [
  [bytes("%PDF"), "a PDF document"],
  [bytes("PK\x03\x04"), "a ZIP archive (or an office document)"],
  [bytes("PK\x05\x06"), "an empty ZIP archive"],
  [bytes("\x1f\x8b"), "a gzip archive"],
  [bytes("7z\xbc\xaf"), "a 7-Zip archive"],
  [bytes("Rar!"), "a RAR archive"],
  [bytes("8BPS"), "a Photoshop document"],
  [bytes("\xff\x0a"), "a JPEG XL picture"],
  [bytes("\0\0\0\x0cJXL "), "a JPEG XL picture"],
  [bytes("\0\0\0\x0cjP  "), "a JPEG 2000 picture"],
  [bytes("\xff\x4f\xff\x51"), "a JPEG 2000 picture"],
  [bytes("\0\0\x01\0"), "an icon"],
  [bytes("v/1\x01"), "an OpenEXR picture"],
  [bytes("qoif"), "a QOI picture"],
  [bytes("\x1aE\xdf\xa3"), "a Matroska or WebM video"],
  [bytes("glTF"), "a 3D model"],
  [bytes("{\\rtf"), "an RTF document"],
  [bytes("%!PS"), "a PostScript document"],
  [bytes("\x7fELF"), "a program"],
  [bytes("MZ"), "a program"],
];

/** brands of the ISO base media file type box (ISO/IEC 23008-12, annex B; AVIF 1.1, section 8) */
const AVIF = new Set(["avif", "avis"]);
const HEIC = new Set(["heic", "heix", "heim", "heis", "hevc", "hevx", "mif1", "mif2", "msf1"]);

/** bytes at a file's start that are enough to tell */
const HEAD = 4096;
/** a PDF reader looks for its header within this many bytes */
const PDF_HEADER_WITHIN = 1024;
/** bytes of a ZIP archive's last record without its comment, and of the longest comment */
const ZIP_END_BYTES = 22;
const LONGEST_COMMENT = 0xffff;

/** @typedef {{ type: string } | { stranger: string } | { type: string, second: string }} Found */

/**
 * @param {Blob} file not empty
 * @returns {Promise<Found>} a picture's Content-Type, or what else it seems to be; `second` where it is another thing
 *   besides: such files slip past a check as one thing and act as another
 */
export async function sniff(file) {
  const head = await read(file.slice(0, HEAD));
  const type = pictureType(head);
  if (!type) return { stranger: stranger(head) };
  if (letters(head, 0, PDF_HEADER_WITHIN).includes("%PDF-")) return { type, second: "a PDF document" };
  const tail = await read(file.slice(-(ZIP_END_BYTES + LONGEST_COMMENT)));
  return endsAsArchive(tail) ? { type, second: "a ZIP archive" } : { type };
}

/**
 * @param {Uint8Array} head
 * @returns {string | null}
 */
function pictureType(head) {
  const picture = PICTURES.find(([start]) => startsWith(head, start));
  if (picture) return picture[1];
  if (letters(head, 0, 4) === "RIFF" && letters(head, 8, 12) === "WEBP") return "image/webp";
  if (letters(head, 4, 8) !== "ftyp") return null;
  const brands = brandsOf(head);
  if (brands.some((brand) => AVIF.has(brand))) return "image/avif";
  return brands.some((brand) => HEIC.has(brand)) ? "image/heic" : null;
}

/**
 * Major and compatible brands of the `ftyp` box that `head` starts with.
 *
 * @param {Uint8Array} head
 */
function brandsOf(head) {
  const size = Math.min(new DataView(head.buffer, head.byteOffset).getUint32(0), 256, head.length);
  const brands = [letters(head, 8, 12)];
  for (let at = 16; at + 4 <= size; at += 4) brands.push(letters(head, at, at + 4));
  return brands;
}

/** @param {Uint8Array} head */
function stranger(head) {
  const known = STRANGERS.find(([start]) => startsWith(head, start));
  if (known) return known[1];
  if (letters(head, 4, 8) === "ftyp") return "a video";
  if (letters(head, 0, 4) === "RIFF") return "a video or sound file";
  const start = letters(head, 0, HEAD).replace(/^\xef\xbb\xbf/, "").replace(/^[ \t\n\r\v\f]+/, "").toLowerCase();
  if (start.startsWith("<!doctype html") || start.startsWith("<html")) return "a web page (HTML)";
  if (start.includes("<svg")) return "an SVG drawing";
  if (start.includes("<html")) return "a web page (HTML)";
  if (start.startsWith("<?xml")) return "an XML document";
  return isText(head) ? "plain text" : "an unknown kind of file";
}

/**
 * No control characters but white space, and decodable once a character cut at the end is forgiven.
 *
 * @param {Uint8Array} head
 */
function isText(head) {
  if (head.some((byte) => byte < 32 && !"\t\n\r\f\x1b".includes(String.fromCharCode(byte)))) return false;
  return [0, 1, 2, 3].some((cut) => isUtf8(head.subarray(0, Math.max(0, head.length - cut))));
}

/** @param {Uint8Array} data */
function isUtf8(data) {
  try {
    new TextDecoder("utf-8", { fatal: true }).decode(data);
    return true;
  } catch {
    return false;
  }
}

/** @param {Uint8Array} tail */
function endsAsArchive(tail) {
  const at = letters(tail, 0, tail.length).lastIndexOf("PK\x05\x06");
  if (at < 0 || tail.length - at < ZIP_END_BYTES) return false;
  const comment = new DataView(tail.buffer, tail.byteOffset).getUint16(at + 20, true);
  return at + ZIP_END_BYTES + comment === tail.length;
}

/** @param {Blob} part */
async function read(part) {
  return new Uint8Array(await part.arrayBuffer());
}

/**
 * @param {Uint8Array} data
 * @param {number[]} start
 */
function startsWith(data, start) {
  return start.every((byte, index) => data[index] === byte);
}

/**
 * @param {Uint8Array} data
 * @param {number} from
 * @param {number} to
 * @returns {string} one letter for each byte
 */
function letters(data, from, to) {
  return new TextDecoder("latin1").decode(data.subarray(from, to));
}
