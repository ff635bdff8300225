import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { Rest } from "../../src/cloud/rest.js";
import { refuse, serve } from "./server.js";

/** @param {Parameters<typeof serve>[0]} reply */
async function guest(reply) {
  const server = await serve(reply);
  return { server, rest: new Rest({ rest: server.url }, { token: "t" }) };
}

test("each route is asked as the server has it", async () => {
  const { server, rest } = await guest(({ method, path }) => {
    if (method === "DELETE" && !path.includes("only")) return { status: 204 };
    if (method === "POST" && path.endsWith("/shares")) return { status: 201, json: { token: "s.h", url: null, expires_at: "" } };
    return { json: { job: { job_id: "a/b" }, jobs: [], cursor: null, artifacts: [], expires_in: 900 } };
  });
  await rest.createJob("chair.png", "image/png", { views: 4 });
  await rest.jobs({ cursor: "c=", limit: 5 });
  await rest.job("a/b");
  assert.equal((await rest.cancel("j")).job_id, "a/b");
  assert.equal(await rest.remove("j"), null);
  await rest.artifacts("j");
  const share = await rest.share("j", { expiresIn: 60 });
  assert.match(share.url, /#\/shared\/j\/s\.h$/, "a cloud that knows no site leaves the address to the page");
  await rest.stopSharing("j");
  assert.deepEqual(
    server.asked.map(({ method, path }) => `${method} ${path}`),
    [
      "POST /jobs",
      "GET /jobs?limit=5&cursor=c%3D",
      "GET /jobs/a%2Fb",
      "DELETE /jobs/j?only=cancel",
      "DELETE /jobs/j",
      "GET /jobs/j/artifacts",
      "POST /jobs/j/shares",
      "DELETE /jobs/j/shares",
    ],
  );
  assert.deepEqual(server.asked[0]?.body, { filename: "chair.png", content_type: "image/png", options: { views: 4 } });
  assert.deepEqual(server.asked[6]?.body, { expires_in: 60 });
  assert.ok(server.asked.every(({ token }) => token === "t"));
  assert.equal(await rest.eventsUrl("j"), `${server.url}/jobs/j/events?token=t`);
});

test("every error that the server can send keeps its code, sentence and status", async () => {
  const tree = readFileSync(new URL("../../../infra/errors.py", import.meta.url), "utf8");
  const codes = [...tree.matchAll(/code(?:: ClassVar\[str\])? = "(\w+)"/g)].map((match) => String(match[1]));
  assert.ok(codes.length > 25 && codes.includes("access_key_required"));
  let sent = "";
  const { rest } = await guest(() => refuse(418, sent, `${sent} – a sentence with “quotes” & <b>`));
  for (sent of codes) {
    await assert.rejects(rest.job("j"), { name: "CloudError", code: sent, message: `${sent} – a sentence with “quotes” & <b>`, status: 418 });
  }
});

test("no answer is told as offline", async () => {
  const { server, rest } = await guest(() => ({}));
  server.close();
  await assert.rejects(rest.jobs(), { name: "CloudError", code: "offline", status: 0 });
});

test("an answer that breaks off is told as offline", async () => {
  const { rest } = await guest(() => ({ headers: { "content-length": "1000" }, body: '{"job": {' }));
  await assert.rejects(rest.job("j"), { code: "offline" });
});

for (const [what, reply] of /** @type {const} */ ([
  ["a web page", { body: "<!doctype html><title>Sign in to the café's network</title>" }],
  ["nothing at all", { body: "" }],
  ["a JSON list", { json: [1] }],
  ["a JSON null", { json: null }],
  ["a refusal by a proxy", { status: 502, body: "<h1>Bad Gateway</h1>" }],
  ["a refusal by the gateway", { status: 403, json: { message: "Forbidden" } }],
  ["a refusal with half an error", { status: 400, json: { error: { code: 7 } } }],
])) {
  test(`${what} is told as a bad answer`, async () => {
    const { rest } = await guest(() => /** @type {any} */ (reply));
    await assert.rejects(rest.job("j"), { name: "CloudError", code: "bad_answer" });
  });
}

test("too many requests are told as that", async () => {
  const { rest } = await guest(() => ({ status: 429, json: { message: "Too Many Requests" } }));
  await assert.rejects(rest.job("j"), { code: "too_many_requests", status: 429 });
});

test("a guest whose link has ended is told so, and no session is made in its place", async () => {
  const { server, rest } = await guest(() => refuse(401, "unauthorized"));
  await assert.rejects(rest.job("j"), { code: "unauthorized" });
  assert.equal(server.asked.length, 1);
});
