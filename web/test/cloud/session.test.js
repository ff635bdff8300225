import assert from "node:assert/strict";
import { test } from "node:test";
import { Rest } from "../../src/cloud/rest.js";
import { Session } from "../../src/cloud/session.js";
import { Memory, inDays, refuse, serve } from "./server.js";

const KEPT = "maquette.session";

/**
 * A cloud that gives out the tokens 1, 2, 3 … and accepts those that are not in `stale`.
 *
 * @param {{ key?: string, days?: number }} [how]
 */
async function cloud({ key, days = 30 } = {}) {
  const stale = new Set();
  let made = 0;
  const server = await serve(async ({ path, token, body }) => {
    await new Promise((later) => setTimeout(later, 5));
    if (path === "/sessions") {
      if (key && body.access_key !== key) return refuse(401, "access_key_required", "This place asks for an access key.");
      return { status: 201, json: { token: String((made += 1)), expires_at: inDays(days) } };
    }
    return !token || stale.has(token) ? refuse(401, "unauthorized") : { json: { job: { job_id: token } } };
  });
  const config = { rest: server.url };
  return { server, stale, config, sessions: () => server.count("/sessions") };
}

test("a browser without a session gets one, and keeps it", async () => {
  const { config, sessions } = await cloud();
  const memory = new Memory();
  assert.equal(await new Session(config, memory).token(), "1");
  assert.equal(await new Session(config, memory).token(), "1");
  assert.equal(sessions(), 1);
});

test("all who ask at the same time share one request", async () => {
  const { config, sessions } = await cloud();
  const session = new Session(config, new Memory());
  assert.deepEqual(await Promise.all(Array.from({ length: 20 }, () => session.token())), Array(20).fill("1"));
  assert.equal(sessions(), 1);
});

test("a token with less than a week left is renewed in the name of the same owner", async () => {
  const { server, config } = await cloud();
  const memory = new Memory();
  memory.setItem(KEPT, JSON.stringify({ token: "old", expires_at: inDays(6.9) }));
  assert.equal(await new Session(config, memory).token(), "1");
  assert.equal(server.asked[0]?.token, "old");
});

test("a token with more than a week left is left alone", async () => {
  const { config, sessions } = await cloud();
  const memory = new Memory();
  memory.setItem(KEPT, JSON.stringify({ token: "old", expires_at: inDays(7.1) }));
  assert.equal(await new Session(config, memory).token(), "old");
  assert.equal(sessions(), 0);
});

test("a token that still holds serves on while it cannot be renewed", async () => {
  const { server, config } = await cloud();
  server.close();
  const memory = new Memory();
  memory.setItem(KEPT, JSON.stringify({ token: "old", expires_at: inDays(1) }));
  assert.equal(await new Session(config, memory).token(), "old");
});

test("a token that has ended is not shown to anybody", async () => {
  const { server, config } = await cloud();
  const memory = new Memory();
  memory.setItem(KEPT, JSON.stringify({ token: "old", expires_at: inDays(-1) }));
  assert.equal(await new Session(config, memory).token(), "1");
  assert.equal(server.asked[0]?.token, undefined);
});

for (const kept of ["", "{", "null", "7", '{"token":7}', '{"token":"x","expires_at":"someday"}']) {
  test(`what is kept as ${kept || "nothing"} is no session`, async () => {
    const { config } = await cloud();
    const memory = new Memory();
    memory.setItem(KEPT, kept);
    assert.equal(await new Session(config, memory).token(), "1");
  });
}

test("where nothing can be kept the session lasts as long as the page", async () => {
  const { config, sessions } = await cloud();
  const full = { getItem: () => null, setItem: () => assert.fail("quota"), removeItem: () => undefined };
  const session = new Session(config, full);
  assert.deepEqual([await session.token(), await session.token()], ["1", "1"]);
  assert.equal(sessions(), 1);
  assert.equal(await new Session(config, null).token(), "2");
});

test("calls refused for a stale token share one new session, and each is made once more", async () => {
  const { server, config, stale, sessions } = await cloud();
  const session = new Session(config, new Memory());
  const rest = new Rest(config, { session });
  stale.add(await session.token());
  const jobs = await Promise.all(Array.from({ length: 8 }, () => rest.job("j")));
  assert.deepEqual(jobs.map((job) => job.job_id), Array(8).fill("2"));
  assert.equal(sessions(), 2);
  assert.equal(server.count("/jobs/j"), 16);
});

test("a refusal that arrives late does not throw the new session away", async () => {
  const { config, stale, sessions } = await cloud();
  const session = new Session(config, new Memory());
  const first = await session.token();
  stale.add(first);
  assert.equal(await session.replace(first), "2");
  assert.equal(await session.replace(first), "2");
  assert.equal(sessions(), 2);
});

test("a call that is refused with the new session too is not made a third time", async () => {
  const { server, config, stale } = await cloud();
  const session = new Session(config, new Memory());
  for (const token of ["1", "2", "3"]) stale.add(token);
  await assert.rejects(new Rest(config, { session }).job("j"), { code: "unauthorized", status: 401 });
  assert.equal(server.count("/jobs/j"), 2);
});

test("one tab takes up the session that another has kept", async () => {
  const { config, stale, sessions } = await cloud();
  const memory = new Memory();
  const [one, other] = [new Session(config, memory), new Session(config, memory)];
  const first = await one.token();
  assert.equal(await other.token(), first);
  stale.add(first);
  assert.equal(await one.replace(first), "2");
  assert.equal(await other.replace(first), "2");
  assert.equal(sessions(), 2);
});

test("a place that asks for an access key says so, and lets in with it", async () => {
  const { config } = await cloud({ key: "open sesame" });
  const session = new Session(config, new Memory());
  const rest = new Rest(config, { session });
  await assert.rejects(rest.job("j"), { code: "access_key_required", message: "This place asks for an access key." });
  await assert.rejects(session.renew("wrong"), { code: "access_key_required" });
  assert.equal(await session.renew("open sesame"), "1");
  assert.equal((await rest.job("j")).job_id, "1");
});

test("a key given while a request without one is under way is not lost", async () => {
  const { config } = await cloud({ key: "k" });
  const session = new Session(config, new Memory());
  const without = session.renew();
  const withKey = session.renew("k");
  await assert.rejects(without, { code: "access_key_required" });
  assert.equal(await withKey, "1");
});

for (const json of [{}, { token: 7, expires_at: inDays(9) }, { token: "x", expires_at: "soon" }]) {
  test(`an answer like ${JSON.stringify(json).slice(0, 30)} makes no session`, async () => {
    const server = await serve(() => ({ status: 201, json }));
    const memory = new Memory();
    await assert.rejects(new Session({ rest: server.url }, memory).token(), { code: "bad_answer" });
    assert.equal(memory.getItem(KEPT), null);
  });
}
