/** A photo into the upload bucket, through the form that `POST /jobs` gave. */

import { CloudError, offline } from "./errors.js";

/**
 * Raises CloudError, or an `AbortError` when `signal` says so.
 *
 * @param {import("./rest.js").Form} form
 * @param {Blob} file
 * @param {{ onProgress?: (fraction: number) => void, signal?: AbortSignal }} [how]
 * @returns {Promise<void>}
 */
export function upload(form, file, { onProgress, signal } = {}) {
  const data = new FormData();
  for (const [name, value] of Object.entries(form.fields)) data.append(name, value);
  data.append("file", file); // last: S3 ignores whatever comes after it
  // fetch tells nothing of how much has been sent.
  const request = new XMLHttpRequest();
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(aborted());
      return;
    }
    signal?.addEventListener("abort", () => request.abort(), { once: true });
    request.upload.addEventListener("progress", (event) => {
      if (event.lengthComputable) onProgress?.(event.loaded / event.total);
    });
    request.addEventListener("load", () => {
      if (request.status >= 200 && request.status < 300) resolve();
      else reject(refused(request.status, request.responseText));
    });
    request.addEventListener("error", () => reject(offline()));
    request.addEventListener("abort", () => reject(aborted()));
    request.open("POST", form.url);
    request.send(data);
  });
}

/**
 * S3's refusals, which come as XML, in the codes of our own.
 *
 * @param {number} status
 * @param {string} xml
 * @returns {CloudError}
 */
export function refused(status, xml) {
  if (xml.includes("EntityTooLarge")) return new CloudError("image_too_large", "The photo has more bytes than are taken.", status);
  if (xml.includes("EntityTooSmall")) return new CloudError("empty_file", "The file is empty.", status);
  if (/expired/i.test(xml)) return new CloudError("upload_expired", "The permission to send this photo has ended.", status);
  return new CloudError("upload_refused", `The photo was not taken in (${status}). Try again.`, status);
}

/** @returns {DOMException} */
function aborted() {
  return new DOMException("The upload was stopped.", "AbortError");
}
