/** A look at a photo before it is sent: what cannot become a model is refused here, at once and with a reason. */

import { CloudError } from "./errors.js";
import { HEAD, sniff } from "./sniff.js";

// The server's own limits (infra/storage.py, gpu_container/photo.py); it judges again.
export const MAX_BYTES = 64 * 2 ** 20;
export const MAX_PIXELS = 80_000_000;
export const MIN_SIDE = 32;

const TAKEN = "JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF and HEIC are taken.";
/** pixels; the longest side of a preview */
const PREVIEW = 320;

/**
 * Raises CloudError with the code that the server would give.
 *
 * @param {Blob} file
 * @returns {Promise<{ type: string, width: number | null, height: number | null }>} pixels, null where this browser
 *   cannot read the format
 */
export async function examine(file) {
  if (file.size === 0) throw new CloudError("empty_file", "The file is empty. It may not have been written to its end.");
  const found = sniff(new Uint8Array(await file.slice(0, HEAD).arrayBuffer()));
  if ("stranger" in found) {
    throw new CloudError("unsupported_image", `This looks like ${found.stranger}, not like a photo. ${TAKEN}`);
  }
  if (file.size > MAX_BYTES) {
    throw new CloudError("image_too_large", `The photo has ${Math.round(file.size / 2 ** 20)} MiB; at most ${MAX_BYTES / 2 ** 20} are taken. Save it smaller, or as JPEG.`);
  }
  const picture = await decode(file);
  if (!picture) return { type: found.type, width: null, height: null };
  const { width, height } = picture;
  picture.close();
  if (width * height > MAX_PIXELS) {
    throw new CloudError("image_too_large", `The photo has ${Math.round((width * height) / 1e6)} megapixels; at most ${MAX_PIXELS / 1e6} are taken. Save it smaller.`);
  }
  if (Math.min(width, height) < MIN_SIDE) {
    throw new CloudError("image_too_small", `The photo has ${width} by ${height} pixels: too few to make out an object. Send one of at least ${MIN_SIDE} by ${MIN_SIDE}, better 512 by 512.`);
  }
  return { type: found.type, width, height };
}

/**
 * A small picture of the photo as a data: address, upright; what the camera wrote beside the pixels is not in it.
 *
 * @param {Blob} file
 * @returns {Promise<string | null>} null where this browser cannot read the format
 */
export async function thumbnail(file) {
  const picture = await decode(file);
  if (!picture) return null;
  const scale = Math.min(1, PREVIEW / Math.max(picture.width, picture.height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(picture.width * scale));
  canvas.height = Math.max(1, Math.round(picture.height * scale));
  const context = canvas.getContext("2d");
  if (context) context.imageSmoothingQuality = "high";
  context?.drawImage(picture, 0, 0, canvas.width, canvas.height);
  picture.close();
  return canvas.toDataURL("image/webp", 0.85);
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
