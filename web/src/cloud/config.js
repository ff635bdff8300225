/** Where the two servers are; the file is written when the site is deployed, or answered by `maquette up`. */

import { ask } from "./ask.js";
import { CloudError } from "./errors.js";

/** @typedef {{ rest: string, socket: string }} Config addresses without a slash at the end */

/**
 * Raises CloudError.
 *
 * @returns {Promise<Config>}
 */
export async function loadConfig() {
  const answer = await ask("config.json", { cache: "no-cache" });
  const config = answer.ok ? await answer.json().catch(() => null) : null;
  if (typeof config?.rest !== "string" || typeof config?.socket !== "string") {
    throw new CloudError("bad_answer", "This site has not been told where its cloud is (config.json).", answer.status);
  }
  return { rest: config.rest.replace(/\/+$/, ""), socket: config.socket.replace(/\/+$/, "") };
}
