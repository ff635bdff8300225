import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { Artifacts } from "../../src/cloud/artifacts.js";
import { Rest } from "../../src/cloud/rest.js";
import { refuse, serve } from "./server.js";

const FILES = /** @type {Record<string, string>} */ ({ "mesh.glb": "glTF".repeat(20000), "poster.webp": "p".repeat(300), "manifest.json": '{"a":1}' });
for (let index = 0; index < 12; index += 1) FILES[`render_${index}.png`] = String(index).repeat(1000 + index);
const hash = (/** @type {string} */ text) => createHash("sha256").update(text).digest("hex");

/**
 * A cloud with one job's files; a link holds as long as its number is above `ended`.
 *
 * @param {{ expiresIn?: number, spoil?: string }} [how]
 */
async function shelf({ expiresIn = 900, spoil } = {}) {
  let made = 0;
  const state = { ended: 0, status: 403, slow: 0, busy: 0, most: 0 };
  const server = await serve(async ({ path }) => {
    if (path === "/jobs/j/artifacts") {
      made += 1;
      const artifacts = Object.entries(FILES).map(([name, text]) => ({ name, bytes: text.length, type: "x/y", sha256: hash(text), url: `${server.url}/store/${made}/${name}` }));
      return { json: { job_id: "j", artifacts, expires_in: expiresIn } };
    }
    const [, , number, name = ""] = path.split("/");
    if (Number(number) <= state.ended) return { status: state.status, body: "<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>" };
    if (!(name in FILES)) return refuse(404, "not_found");
    state.most = Math.max(state.most, (state.busy += 1));
    await new Promise((later) => setTimeout(later, state.slow));
    state.busy -= 1;
    return { body: name === spoil ? `${FILES[name]?.slice(0, -1)}!` : FILES[name] };
  });
  const rest = new Rest({ rest: server.url }, { token: "t" });
  return { server, state, rest, renewals: () => server.count("/jobs/j/artifacts") };
}

/** @param {Blob} zip stored, not packed: what client-zip writes @returns {Promise<Map<string, string>>} */
async function unzip(zip) {
  const data = Buffer.from(await zip.arrayBuffer());
  const found = new Map();
  const end = data.lastIndexOf("PK\x05\x06", undefined, "latin1");
  let at = data.readUInt32LE(end + 16);
  for (let count = data.readUInt16LE(end + 10); count > 0; count -= 1) {
    const [length, nameLength, extra, comment, local] = [data.readUInt32LE(at + 20), data.readUInt16LE(at + 28), data.readUInt16LE(at + 30), data.readUInt16LE(at + 32), data.readUInt32LE(at + 42)];
    const name = data.subarray(at + 46, at + 46 + nameLength).toString();
    const start = local + 30 + data.readUInt16LE(local + 26) + data.readUInt16LE(local + 28);
    found.set(name, data.subarray(start, start + length).toString());
    at += 46 + nameLength + extra + comment;
  }
  return found;
}

test("the files are told with their links", async () => {
  const { rest } = await shelf();
  const artifacts = await Artifacts.of(rest, "j");
  assert.deepEqual(artifacts.files.map(({ name }) => name), Object.keys(FILES));
  assert.deepEqual([artifacts.has("mesh.glb"), artifacts.has("mesh.fbx")], [true, false]);
  assert.match(await artifacts.url("mesh.glb"), /store\/1\/mesh\.glb$/);
  await assert.rejects(artifacts.url("mesh.fbx"), { code: "not_found" });
});

test("links that are about to end are renewed once for all who ask", async (t) => {
  const { rest, renewals } = await shelf();
  const artifacts = await Artifacts.of(rest, "j");
  const start = Date.now();
  const now = t.mock.method(Date, "now", () => start + 839_000);
  assert.match(await artifacts.url("mesh.glb"), /store\/1\//);
  now.mock.mockImplementation(() => start + 842_000);
  const urls = await Promise.all(Object.keys(FILES).map((name) => artifacts.url(name)));
  assert.ok(urls.every((url) => url.includes("/store/2/")));
  assert.equal(renewals(), 2);
});

for (const status of [403, 400]) {
  test(`links that the store refuses with ${status} are renewed once for all who fetch`, async () => {
    const { rest, state, renewals } = await shelf();
    const artifacts = await Artifacts.of(rest, "j");
    Object.assign(state, { ended: 1, status });
    const blobs = await Promise.all(Object.keys(FILES).map((name) => artifacts.fetch(name)));
    assert.deepEqual(await Promise.all(blobs.map((blob) => blob.text())), Object.values(FILES));
    assert.equal(renewals(), 2);
  });
}

test("a store that refuses new links too is asked no third time", async () => {
  const { rest, state, server, renewals } = await shelf();
  const artifacts = await Artifacts.of(rest, "j");
  state.ended = 9;
  await assert.rejects(artifacts.fetch("mesh.glb"), { name: "CloudError", status: 403, message: /mesh\.glb could not be fetched/ });
  assert.deepEqual([renewals(), server.asked.filter(({ path }) => path.startsWith("/store")).length], [2, 2]);
});

test("a file is fetched whole, of its own type, with progress that never falls and ends at one", async () => {
  const { rest } = await shelf();
  const artifacts = await Artifacts.of(rest, "j");
  /** @type {number[]} */
  const told = [];
  const blob = await artifacts.fetch("mesh.glb", { onProgress: (fraction) => told.push(fraction) });
  assert.equal(await blob.text(), FILES["mesh.glb"]);
  assert.equal(blob.type, "x/y");
  assert.deepEqual(told, [...told].sort((a, b) => a - b));
  assert.equal(told.at(-1), 1);
});

test("a file that did not arrive as it was made is refused", async () => {
  const { rest } = await shelf({ spoil: "mesh.glb" });
  const artifacts = await Artifacts.of(rest, "j");
  await assert.rejects(artifacts.fetch("mesh.glb"), { name: "CloudError", code: "download_corrupt" });
  await assert.rejects(artifacts.zip(), { name: "CloudError", code: "download_corrupt" });
});

test("a store out of reach is told as offline", async () => {
  const { rest, server } = await shelf();
  const artifacts = await Artifacts.of(rest, "j");
  server.close();
  await assert.rejects(artifacts.fetch("mesh.glb"), { code: "offline" });
  await assert.rejects(artifacts.zip(), { code: "offline" });
});

test("no name of a photo leads out of the archive's folder, or is obeyed by who lists it", async () => {
  const { rest } = await shelf();
  const artifacts = await Artifacts.of(rest, "j");
  const hostile = ["..", ".", "", " . ", "../../etc", "..\\..\\etc", "/etc", "C:\\x", "a\u0000b", "a\r\nb", "\u001b[31m", "x\u202egnp.exe", "\ud800", "a:b*c?d<e>f|g\"h"];
  for (const name of hostile) {
    const names = [...(await unzip(await artifacts.zip({ name }))).keys()];
    assert.equal(names.length, Object.keys(FILES).length);
    for (const entry of names) {
      assert.match(entry, /^[^/\\:*?"<>|\p{Cc}\p{Cs}\u202e]*[^/. ][^/\\:*?"<>|\p{Cc}\p{Cs}\u202e]*\/[a-z_0-9.]+$/u, JSON.stringify(name));
    }
  }
  const zip = await artifacts.zip({ name: "Ünïcödé 写真 (1)" });
  assert.ok([...(await unzip(zip)).keys()].every((entry) => entry.startsWith("Ünïcödé 写真 (1)/")));
});

test("the archive holds every file in a folder of its own, with progress over its bytes", async () => {
  const { rest, state } = await shelf();
  state.slow = 5;
  const artifacts = await Artifacts.of(rest, "j");
  /** @type {number[]} */
  const told = [];
  const zip = await artifacts.zip({ name: "red/chair", onProgress: (fraction) => told.push(fraction) });
  assert.equal(zip.type, "application/zip");
  assert.deepEqual([...(await unzip(zip))], Object.entries(FILES).map(([name, text]) => [`red_chair/${name}`, text]));
  assert.deepEqual(told, [...told].sort((a, b) => a - b));
  assert.equal(told.at(-1), 1);
  assert.ok(told.filter((fraction) => fraction > 0 && fraction < 1).length > 5);
  assert.ok(state.most > 1 && state.most <= 4, `${state.most} at once`);
});

test("links that end while an archive is made are renewed on the way", async () => {
  const { rest, state, renewals } = await shelf();
  const artifacts = await Artifacts.of(rest, "j");
  const zip = await artifacts.zip({ onProgress: () => (state.ended = 1) });
  assert.equal((await unzip(zip)).size, Object.keys(FILES).length);
  assert.equal(renewals(), 2);
});

test("an archive that is not wanted any more is stopped, and so are its files", async () => {
  const { rest, state } = await shelf();
  state.slow = 50;
  const artifacts = await Artifacts.of(rest, "j");
  const stopping = new AbortController();
  const zip = artifacts.zip({ signal: stopping.signal });
  setTimeout(() => stopping.abort(), 20);
  await assert.rejects(zip, { name: "AbortError" });
  await assert.rejects(artifacts.fetch("mesh.glb", { signal: stopping.signal }), { name: "AbortError" });
});
