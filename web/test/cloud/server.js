/** A small cloud on this machine that answers as it is told to, and remembers what it was asked. */

import { createServer } from "node:http";
import { after } from "node:test";

/**
 * @typedef {object} Asked
 * @property {string} method
 * @property {string} path with the query
 * @property {string | undefined} token
 * @property {any} body
 */
/** @typedef {{ status?: number, headers?: Record<string, string>, json?: unknown, body?: string | Uint8Array }} Reply */

/**
 * @param {(asked: Asked) => Reply | Promise<Reply>} reply
 * @returns {Promise<{ url: string, asked: Asked[], count: (path: string) => number, close: () => void }>}
 */
export async function serve(reply) {
  /** @type {Asked[]} */
  const asked = [];
  const server = createServer(async (request, response) => {
    let body = "";
    for await (const chunk of request) body += chunk;
    const question = {
      method: request.method ?? "",
      path: request.url ?? "",
      token: request.headers.authorization?.replace("Bearer ", ""),
      body: body ? JSON.parse(body) : undefined,
    };
    asked.push(question);
    const { status = 200, headers = {}, json, body: raw } = await reply(question);
    response.writeHead(status, { connection: "close", ...headers });
    response.end(json === undefined ? raw : JSON.stringify(json));
  });
  await new Promise((ready) => server.listen(0, "127.0.0.1", () => ready(undefined)));
  const close = () => {
    server.closeAllConnections();
    server.close();
  };
  after(close);
  const { port } = /** @type {import("node:net").AddressInfo} */ (server.address());
  return { url: `http://127.0.0.1:${port}`, asked, count: (path) => asked.filter((one) => one.path === path).length, close };
}

/**
 * @param {number} status
 * @param {string} code
 * @param {string} message
 * @returns {Reply}
 */
export function refuse(status, code, message = code) {
  return { status, json: { error: { code, message } } };
}

/** What localStorage does, for one browser. */
export class Memory {
  /** @type {Map<string, string>} */
  #kept = new Map();
  getItem = (/** @type {string} */ key) => this.#kept.get(key) ?? null;
  setItem = (/** @type {string} */ key, /** @type {string} */ value) => void this.#kept.set(key, value);
  removeItem = (/** @type {string} */ key) => void this.#kept.delete(key);
}

/** @param {number} days */
export const inDays = (days) => new Date(Date.now() + days * 86_400_000).toISOString();
