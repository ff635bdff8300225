import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { Shelf } from "../../src/shelf/shelf.js";

globalThis.document ??= /** @type {any} */ ({ hidden: true });

/**
 * @param {string} job_id
 * @param {number} second
 * @param {object} [more]
 */
const job = (job_id, second, more = {}) => ({
  job_id,
  seq: 1,
  status: "running",
  progress: 0,
  created_at: new Date(Date.UTC(2026, 0, 1, 0, 0, second)).toISOString(),
  options: {},
  timings: {},
  ...more,
});

/** A cloud of which only the list can be had. */
class Cloud {
  /** @param {object[]} jobs newest first */
  constructor(jobs) {
    this.list = jobs;
  }
  async jobs({ limit, cursor }) {
    const from = Number(cursor ?? 0);
    const rest = this.list.length > from + 2;
    return { jobs: this.list.slice(from, from + Math.min(limit, 2)), cursor: rest ? String(from + 2) : null };
  }
  async job(id) {
    return this.list.find((one) => one.job_id === id);
  }
  async cancel(id) {
    const found = await this.job(id);
    return found.status === "running" ? this.remove(id) : found;
  }
  async remove(id) {
    const found = await this.job(id);
    if (found.status === "running") return Object.assign(found, { status: "canceled", seq: found.seq + 1 });
    this.list = this.list.filter((one) => one.job_id !== id);
    return null;
  }
}

/** @type {Shelf[]} */
const open = [];
afterEach(() => open.splice(0).forEach((shelf) => shelf.stop()));

/** @param {object[]} jobs */
function furnish(jobs) {
  const live = new EventTarget();
  const cloud = new Cloud(jobs);
  const shelf = new Shelf(/** @type {any} */ (cloud), /** @type {any} */ (live));
  open.push(shelf);
  /** @param {object} record */
  const tell = (record) => live.dispatchEvent(new CustomEvent("job", { detail: record }));
  return { shelf, cloud, live, tell, ids: () => shelf.jobs.map((one) => one.job_id) };
}

test("pages follow one another, newest first, each job once", async () => {
  const { shelf, ids } = furnish([job("e", 5), job("d", 4), job("c", 3), job("b", 2), job("a", 1)]);
  await shelf.refresh();
  assert.deepEqual(ids(), ["e", "d"]);
  assert.ok(shelf.hasMore);
  await shelf.more();
  await shelf.more();
  assert.deepEqual(ids(), ["e", "d", "c", "b", "a"]);
  assert.ok(!shelf.hasMore);
});

test("a record that is older than the one at hand changes nothing", () => {
  const { shelf, tell } = furnish([]);
  tell(job("a", 1, { seq: 7, progress: 0.7 }));
  tell(job("a", 1, { seq: 6, progress: 0.6 }));
  assert.equal(shelf.job("a")?.progress, 0.7);
});

test("a frame without links leaves the poster standing", () => {
  const { shelf, tell } = furnish([]);
  tell(job("a", 1, { seq: 3, poster_url: "https://store/poster.webp", status: "succeeded" }));
  tell(job("a", 1, { seq: 4, status: "succeeded" }));
  assert.equal(shelf.job("a")?.poster_url, "https://store/poster.webp");
});

test("a poster is asked for once, when a frame tells of a finished model, even if there is none", async () => {
  const { shelf, cloud, tell } = furnish([job("a", 1, { seq: 2, status: "succeeded", poster_url: null })]);
  let asked = 0;
  const { job: answer } = cloud;
  cloud.job = (id) => ((asked += 1), answer.call(cloud, id));
  tell(job("a", 1, { seq: 2, status: "succeeded" }));
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.equal(asked, 1);
  assert.equal(shelf.job("a")?.poster_url, null);
});

test("a job that is deleted does not come back with a late frame", async () => {
  const { shelf, tell, ids } = furnish([job("a", 1, { status: "failed" })]);
  await shelf.refresh();
  await shelf.remove("a");
  tell(job("a", 1, { seq: 9 }));
  assert.deepEqual(ids(), []);
});

test("canceling keeps the job, as canceled", async () => {
  const { shelf } = furnish([job("a", 1)]);
  await shelf.refresh();
  await shelf.cancel("a");
  assert.equal(shelf.job("a")?.status, "canceled");
});

test("canceling what has just been finished loses nothing", async () => {
  const { shelf, cloud } = furnish([job("a", 1)]);
  await shelf.refresh();
  cloud.list = [job("a", 1, { seq: 2, status: "succeeded", poster_url: "p" })];
  await shelf.cancel("a");
  assert.equal(shelf.job("a")?.status, "succeeded");
});

test("deleting a job that lives stops it first", async () => {
  const { shelf, cloud, ids } = furnish([job("a", 1)]);
  await shelf.refresh();
  await shelf.remove("a");
  assert.deepEqual([ids(), cloud.list], [[], []]);
});

test("what was deleted elsewhere is gone after the next look", async () => {
  const { shelf, cloud, ids } = furnish([job("c", 3), job("b", 2), job("a", 1)]);
  await shelf.refresh();
  await shelf.more();
  cloud.list = cloud.list.filter((one) => one.job_id !== "b");
  await shelf.refresh();
  assert.deepEqual(ids(), ["c", "a"]);
});

test("a shelf that was read stays readable when the cloud is out of reach", async () => {
  const { shelf, cloud, ids } = furnish([job("a", 1)]);
  await shelf.refresh();
  cloud.jobs = () => Promise.reject(new Error("down"));
  await shelf.refresh();
  assert.equal(shelf.state, "ready");
  assert.deepEqual(ids(), ["a"]);
});

test("a first look that fails says why and may be repeated", async () => {
  const { shelf, cloud } = furnish([job("a", 1)]);
  const { jobs } = cloud;
  cloud.jobs = () => Promise.reject(Object.assign(new Error("down"), { code: "offline" }));
  await shelf.refresh();
  assert.equal(shelf.state, "failed");
  assert.equal(shelf.error?.code, "offline");
  cloud.jobs = jobs;
  await shelf.refresh();
  assert.equal(shelf.state, "ready");
  assert.equal(shelf.error, null);
});

test("after every subscription the list is read again", async () => {
  const { shelf, live, ids } = furnish([job("a", 1)]);
  live.dispatchEvent(new Event("subscribed"));
  await new Promise((resolve) => shelf.addEventListener("state", () => shelf.state === "ready" && resolve(null)));
  assert.deepEqual(ids(), ["a"]);
});
