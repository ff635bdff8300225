/** A look at a photo before it is sent: what cannot become a model is refused here, at once and with a reason. */

import { measure } from "./dimensions.js";
import { CloudError } from "./errors.js";
import { sniff } from "./sniff.js";

// The server's own limits (infra/storage.py, gpu_container/photo.py); it judges again.
export const MAX_BYTES = 64 * 2 ** 20;
export const MAX_PIXELS = 80_000_000;
/** the shorter side at least, once the longer one is scaled down to {@link WORKING_SIDE} */
export const MIN_SIDE = 32;
const WORKING_SIDE = 2048;

/** Content types that are taken in. */
export const TYPES = Object.freeze(["image/jpeg", "image/png", "image/webp", "image/gif", "image/bmp", "image/tiff", "image/avif", "image/heic"]);

const TAKEN = "JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF and HEIC pictures are taken.";
/** pixels; the longest side of a thumbnail */
const THUMBNAIL = 320;

/** A photo that is of no use, with the code that the server would give. */
export class PhotoError extends CloudError {
  /**
   * @param {string} code
   * @param {string} message
   */
  constructor(code, message) {
    super(code, message);
    this.name = "PhotoError";
  }
}

/**
 * Raises PhotoError.
 *
 * @param {Blob} file its name and declared type are not asked
 * @returns {Promise<{ type: string, width: number | null, height: number | null }>} pixels as stored, null where only
 *   the server can tell
 */
export async function examine(file) {
  if (file.size === 0) throw new PhotoError("empty_file", "The file is empty. It may not have been written to its end.");
  if (file.size > MAX_BYTES) {
    throw new PhotoError("image_too_large", `The photo has ${Math.round(file.size / 2 ** 20)} MiB; at most ${MAX_BYTES / 2 ** 20} are taken. Save it smaller, or as JPEG.`);
  }
  const found = await whatIs(file);
  if ("stranger" in found) {
    throw new PhotoError("unsupported_image", `This looks like ${found.stranger}, not like a photo. ${TAKEN}`);
  }
  if ("second" in found) {
    throw new PhotoError("unsupported_image", `This file is a picture and ${found.second} at once. Save the picture alone, as PNG or JPEG.`);
  }
  const size = (await measure(file, found.type)) ?? (await sizeOfDecoded(file));
  if (!size) return { type: found.type, width: null, height: null };
  const { width, height } = size;
  if (width * height > MAX_PIXELS) {
    throw new PhotoError("image_too_large", `The picture has ${width} by ${height} pixels; at most ${MAX_PIXELS / 1e6} megapixels are taken. Scale it down and send it again.`);
  }
  const scale = Math.min(1, WORKING_SIDE / Math.max(width, height));
  if (Math.round(Math.min(width, height) * scale) < MIN_SIDE) {
    const lack = scale < 1 ? "narrow" : "small";
    throw new PhotoError("image_too_small", `The picture is ${width} by ${height} pixels: too ${lack} to make out an object. Send one of at least ${MIN_SIDE} by ${MIN_SIDE}, better 512 by 512.`);
  }
  return { type: found.type, width, height };
}

/**
 * A small picture of the photo as a data: address, upright; what the camera wrote beside the pixels is not in it.
 *
 * @param {Blob} file
 * @returns {Promise<string | null>} null where this browser cannot read the format, or should better not try
 */
export async function thumbnail(file) {
  const fits = await examine(file).then(
    () => true,
    () => false, // whoever sends it asks by itself, and is told why
  );
  const picture = fits ? await decode(file) : null;
  if (!picture) return null;
  const scale = Math.min(1, THUMBNAIL / Math.max(picture.width, picture.height));
  const canvas = new OffscreenCanvas(Math.max(1, Math.round(picture.width * scale)), Math.max(1, Math.round(picture.height * scale)));
  const context = canvas.getContext("2d");
  if (context) context.imageSmoothingQuality = "high";
  context?.drawImage(picture, 0, 0, canvas.width, canvas.height);
  picture.close();
  return dataUrl(await canvas.convertToBlob({ type: "image/webp", quality: 0.85 }));
}

/** @param {Blob} file */
async function whatIs(file) {
  try {
    return await sniff(file);
  } catch {
    // Moved, deleted, a folder, or in a cloud drive that is away.
    throw new PhotoError("unreadable_file", "The file cannot be read any more. Choose it again.");
  }
}

/** @param {Blob} file */
async function sizeOfDecoded(file) {
  const picture = await decode(file);
  if (!picture) return null;
  const { width, height } = picture;
  picture.close();
  return { width, height };
}

/**
 * @param {Blob} file
 * @returns {Promise<ImageBitmap | null>}
 */
async function decode(file) {
  try {
    return await createImageBitmap(file, { imageOrientation: "from-image" });
  } catch {
    return null; // a format this browser cannot read, or a broken file: the server knows more formats, and tells
  }
}

/**
 * @param {Blob} blob
 * @returns {Promise<string>}
 */
async function dataUrl(blob) {
  const bytes = new Uint8Array(await blob.arrayBuffer());
  let text = "";
  for (let at = 0; at < bytes.length; at += 8192) text += String.fromCharCode(...bytes.subarray(at, at + 8192));
  return `data:${blob.type};base64,${btoa(text)}`;
}
