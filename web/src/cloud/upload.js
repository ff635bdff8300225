/** A photo into the upload bucket, through the form that `POST /jobs` gave. */

import { CloudError, offline } from "./errors.js";

/** milliseconds without a byte sent or an answer, after which the line counts as dead */
const SILENCE = 60_000;

/**
 * Raises CloudError, or an `AbortError` when `signal` says so.
 *
 * @param {import("./rest.js").Form} form
 * @param {Blob} file
 * @param {{ onProgress?: (fraction: number) => void, signal?: AbortSignal }} [how]
 * @returns {Promise<void>}
 */
export async function upload(form, file, { onProgress, signal } = {}) {
  if (signal?.aborted) throw aborted();
  const data = new FormData();
  for (const [name, value] of Object.entries(form.fields)) data.append(name, value);
  data.append("file", file); // last: S3 ignores whatever comes after it
  const request = new XMLHttpRequest(); // fetch tells nothing of how much has been sent
  const stop = () => request.abort();
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let silence;
  let silent = false;
  const heard = () => {
    clearTimeout(silence);
    silence = setTimeout(() => {
      silent = true;
      request.abort();
    }, SILENCE);
  };
  signal?.addEventListener("abort", stop);
  try {
    await new Promise((resolve, reject) => {
      request.upload.addEventListener("progress", (event) => {
        heard();
        if (event.lengthComputable && event.total > 0) onProgress?.(event.loaded / event.total);
      });
      request.addEventListener("load", () => {
        if (request.status >= 200 && request.status < 300) resolve(undefined);
        else reject(refused(request.status, request.responseText));
      });
      request.addEventListener("error", () => reject(offline()));
      request.addEventListener("abort", () => reject(silent ? offline() : aborted()));
      heard();
      request.open("POST", form.url);
      request.send(data);
    });
  } finally {
    clearTimeout(silence);
    signal?.removeEventListener("abort", stop);
  }
}

/**
 * S3's refusals, which come as XML, in the codes of our own.
 *
 * @param {number} status
 * @param {string} xml
 * @returns {CloudError}
 */
export function refused(status, xml) {
  const code = /<Code>([^<]*)<\/Code>/.exec(xml)?.[1] ?? "";
  const message = /<Message>([^<]*)<\/Message>/.exec(xml)?.[1] ?? "";
  if (code === "EntityTooLarge") return new CloudError("image_too_large", "The photo has more bytes than are taken. Save it smaller, or as JPEG.", status);
  if (code === "EntityTooSmall") return new CloudError("empty_file", "The file is empty. It may not have been written to its end.", status);
  if (code === "ExpiredToken" || /expired/i.test(message)) return new CloudError("upload_expired", "The time to send this photo is over. Try again.", status);
  if (code === "RequestTimeout" || code === "SlowDown" || status >= 500) return new CloudError("upload_interrupted", "The photo did not arrive whole. Try again.", status);
  return new CloudError("upload_refused", `The photo was not taken in (${code || status}). Try again.`, status);
}

/** @returns {DOMException} */
function aborted() {
  return new DOMException("The upload was stopped.", "AbortError");
}
