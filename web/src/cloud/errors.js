/** What the cloud refuses, with the server's own code and sentence, and what keeps it from answering. */

export class CloudError extends Error {
  /**
   * @param {string} code as in docs/api.md; also `offline` for no answer and `bad_answer` for one that makes no sense
   * @param {string} message for the one who sees it
   * @param {number} [status] of HTTP; 0 where there was none
   */
  constructor(code, message, status = 0) {
    super(message);
    this.name = "CloudError";
    this.code = code;
    this.status = status;
  }
}

/** @returns {CloudError} */
export function offline() {
  return new CloudError("offline", "The cloud does not answer. Look at your connection, then try again.");
}

/**
 * @param {number} status
 * @returns {CloudError}
 */
export function badAnswer(status) {
  return new CloudError("bad_answer", `The cloud gave an answer that makes no sense (${status}). Try again later.`, status);
}

/**
 * @param {Response} answer one that is not ok
 * @returns {Promise<CloudError>}
 */
export async function refusal(answer) {
  const { status } = answer;
  const body = await answer.json().catch(() => null);
  const { code, message } = body?.error ?? {};
  if (typeof code === "string" && typeof message === "string") return new CloudError(code, message, status);
  // What stands before the functions (a gateway, a proxy) refuses in words of its own.
  if (status === 429) return new CloudError("too_many_requests", "Too much at once. Wait a moment, then try again.", status);
  if (status === 503 || status === 504) return new CloudError("bad_answer", "The cloud is too busy to answer. Wait a moment, then try again.", status);
  return badAnswer(status);
}
