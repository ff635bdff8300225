/**
 * Addresses in the fragment, so that any static server will do, and so that a share link's token, which is as good
 * as a key, is never sent to the one who serves the page.
 */

/**
 * @typedef {{ view: "home" } | { view: "job", jobId: string } | { view: "shared", jobId: string, token: string } | { view: "nowhere" }} Route
 */

/**
 * @param {string} hash
 * @returns {Route}
 */
export function parse(hash) {
  const [place = "", jobId = "", token = ""] = hash.replace(/^#?\/?/, "").split("/").map(unquote);
  if (place === "") return { view: "home" };
  if (place === "jobs" && jobId) return { view: "job", jobId };
  if (place === "shared" && jobId && token) return { view: "shared", jobId, token };
  return { view: "nowhere" };
}

/**
 * @param {string} jobId
 * @returns {string}
 */
export function jobAddress(jobId) {
  return `#/jobs/${encodeURIComponent(jobId)}`;
}

/**
 * @param {string} part
 * @returns {string}
 */
function unquote(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part; // a lone per cent sign, in an address that somebody mistyped
  }
}
