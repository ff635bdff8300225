/** One question to the cloud and its answer, with every way of failing as a CloudError. */

import { badAnswer, offline, refusal } from "./errors.js";

/** milliseconds; API Gateway itself gives up after 29 s */
const PATIENCE = 35_000;

/**
 * Raises CloudError `offline` where no answer comes.
 *
 * @param {string} address
 * @param {RequestInit} [how]
 * @returns {Promise<Response>}
 */
export async function ask(address, how) {
  try {
    return await fetch(address, { signal: AbortSignal.timeout(PATIENCE), ...how });
  } catch {
    throw offline();
  }
}

/**
 * What an answer says; null where it has nothing to say (204). Raises CloudError: the server's own, or `bad_answer`
 * for what is no JSON object, or `offline` where the answer broke off.
 *
 * @param {Response} answer
 * @returns {Promise<any>}
 */
export async function unpack(answer) {
  if (!answer.ok) throw await refusal(answer);
  if (answer.status === 204) return null;
  /** @type {unknown} */
  let body;
  try {
    body = await answer.json();
  } catch (error) {
    throw error instanceof SyntaxError ? badAnswer(answer.status) : offline();
  }
  if (typeof body !== "object" || body === null || Array.isArray(body)) throw badAnswer(answer.status);
  return body;
}
