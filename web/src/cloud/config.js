/** Where the two servers are; the file is written when the site is deployed, or answered by `maquette up`. */

import { CloudError, offline } from "./errors.js";

/** @typedef {{ rest: string, socket: string }} Config addresses without a slash at the end */

/**
 * Raises CloudError.
 *
 * @returns {Promise<Config>}
 */
export async function loadConfig() {
  const answer = await fetch("config.json", { cache: "no-cache" }).catch(() => {
    throw offline();
  });
  const { rest, socket } = await answer.json().catch(() => ({}));
  if (typeof rest !== "string" || typeof socket !== "string") {
    throw new CloudError("bad_answer", "This site has not been told where its cloud is (config.json).", answer.status);
  }
  return { rest: rest.replace(/\/$/, ""), socket: socket.replace(/\/$/, "") };
}
