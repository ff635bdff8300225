import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { Estimate, SHARES, phrase } from "../../src/cloud/estimate.js";

/** seconds per stage, quite unlike the shares */
const SECONDS = { decode: 0.1, matte: 0.4, frame: 0.1, reconstruct: 8, render: 2, mesh: 0.4, texture: 0.6, export: 0.2, upload: 0.2 };
const TOTAL = 12;
const STAGES = Object.keys(SHARES);

/** @param {object} more @returns {any} */
const job = (more) => ({ job_id: "j", status: "running", stage: null, progress: 0, attempt: 1, engine: null, options: { engine: "auto" }, timings: {}, ...more });
const past = (/** @type {number} */ scale = 1, engine = "triposr", more = {}) =>
  job({ status: "succeeded", engine, timings: Object.fromEntries(Object.entries(SECONDS).map(([stage, seconds]) => [stage, seconds * scale])), ...more });
/** @param {string} stage @param {number} fraction @returns {any} */
const during = (stage, fraction, more = {}) => {
  const before = STAGES.slice(0, STAGES.indexOf(stage)).reduce((sum, name) => sum + /** @type {any} */ (SHARES)[name], 0);
  return job({ stage, progress: before + fraction * /** @type {any} */ (SHARES)[stage], ...more });
};
/** @param {number | null} actual @param {number} expected */
const near = (actual, expected, by = 1e-6) => assert.ok(actual !== null && Math.abs(actual - expected) <= by, `${actual} is not ${expected}`);

test("the shares are the server's own", () => {
  const text = readFileSync(new URL("../../../infra/stages.py", import.meta.url), "utf8");
  const said = [...text.matchAll(/"(\w+)": ([\d.]+)/g)].map((match) => [match[1], Number(match[2])]);
  assert.deepEqual(Object.entries(SHARES), said);
});

test("a job that runs as the past ones did is told rightly from beginning to end", () => {
  const estimate = new Estimate([past(1.3), past(0.7), past()]);
  let now = 5e12;
  let left = TOTAL;
  for (const [stage, seconds] of Object.entries(SECONDS)) {
    for (const fraction of [0, 0.25, 0.5, 0.75]) {
      near(estimate.secondsLeft(during(stage, fraction), now), left);
      now += (seconds / 4) * 1000;
      left -= seconds / 4;
    }
  }
});

test("between two records the time goes on, but not into stages that have not begun", () => {
  const estimate = new Estimate([past()]);
  near(estimate.secondsLeft(during("reconstruct", 0), 0), 11.4);
  near(estimate.secondsLeft(during("reconstruct", 0), 3000), 8.4);
  near(estimate.secondsLeft(during("reconstruct", 0), 8000), 3.4);
  near(estimate.secondsLeft(during("reconstruct", 0), 600_000), 3.4);
});

for (const scale of [0.6, 2, 3]) {
  test(`a job that takes ${scale} times as long is told to take that long for what is left too`, () => {
    const estimate = new Estimate([past()]);
    estimate.secondsLeft(during("reconstruct", 0), 0);
    near(estimate.secondsLeft(during("reconstruct", 0.5), 4000 * scale), 7.4 * scale);
  });
}

test("one odd stage does not turn seconds into hours", () => {
  const estimate = new Estimate([past()]);
  estimate.secondsLeft(during("reconstruct", 0), 0);
  near(estimate.secondsLeft(during("render", 0), 3_600_000), 3.4 * 4);
});

test("medians are per engine, and an open choice is taken to be as the last one was", () => {
  const jobs = [past(0.1, "inflate", { options: { engine: "inflate" } }), past(1), past(0.1, "inflate", { options: { engine: "inflate" } })];
  const estimate = new Estimate(jobs);
  near(estimate.secondsLeft(job({ status: "queued" }), 0, 1), TOTAL);
  near(estimate.secondsLeft(job({ status: "queued", options: { engine: "inflate" } }), 0, 1), TOTAL / 10);
  near(estimate.secondsLeft(job({ status: "queued", engine: "inflate" }), 0, 1), TOTAL / 10);
  assert.equal(new Estimate([past(1, "inflate")]).secondsLeft(job({ status: "queued", options: { engine: "triposr" } }), 0, 1), null);
});

test("one slow job among the past ones changes nothing", () => {
  const estimate = new Estimate([past(), past(), past(50)]);
  near(estimate.secondsLeft(job({ status: "queued" }), 0, 1), TOTAL);
});

test("a waiting job waits for those before it", () => {
  const estimate = new Estimate([past()]);
  near(estimate.secondsLeft(job({ status: "queued" }), 0, 3), 3 * TOTAL);
  assert.equal(estimate.secondsLeft(job({ status: "queued" }), 0), null);
  assert.equal(estimate.secondsLeft(job({ status: "queued" }), 0, null), null);
});

test("failed and canceled jobs are no past", () => {
  const estimate = new Estimate([past(1, "triposr", { status: "failed" }), past(1, "triposr", { status: "canceled" })]);
  assert.equal(estimate.secondsLeft(job({ status: "queued" }), 0, 1), null);
});

test("without a past nothing is promised before a share of 0.15 was seen to be done in two seconds", () => {
  const estimate = new Estimate([]);
  const look = (/** @type {number} */ progress, /** @type {number} */ now) => estimate.secondsLeft(job({ stage: "render", progress }), now);
  assert.equal(look(0.4, 0), null, "what was done before this page looked says nothing of the pace");
  assert.equal(look(0.54, 9000), null);
  assert.equal(new Estimate([]).secondsLeft(job({ stage: "render", progress: 0.9 }), 9000), null);
  near(look(0.6, 10_000), 20);
  near(look(0.6, 14_000), 16);
  near(look(0.6, 99_000), 0);
  const fast = new Estimate([]);
  fast.secondsLeft(job({ progress: 0 }), 0);
  assert.equal(fast.secondsLeft(job({ progress: 0.9 }), 1999), null);
});

test("another attempt begins from the start, though its progress does not fall", () => {
  const estimate = new Estimate([past()]);
  estimate.secondsLeft(during("decode", 0), 0);
  estimate.secondsLeft(during("texture", 0.5), 20_000);
  const again = { attempt: 2, progress: during("texture", 0.5).progress };
  near(estimate.secondsLeft(job({ stage: "decode", ...again }), 60_000), TOTAL);
  near(estimate.secondsLeft(job({ stage: "reconstruct", ...again }), 60_600), 11.4);
  const unknown = new Estimate([]);
  unknown.secondsLeft(job({ progress: 0 }), 0);
  assert.equal(unknown.secondsLeft(job({ stage: "decode", attempt: 2, progress: 0.8 }), 9000), null);
});

test("an estimate that takes another's place knows what it has seen", () => {
  const estimate = new Estimate([past()]);
  estimate.secondsLeft(during("reconstruct", 0), 0);
  near(new Estimate([past()], estimate).secondsLeft(during("reconstruct", 0.5), 8000), 14.8);
});

test("ended jobs have no time left, and none is ever negative or no number", () => {
  const estimate = new Estimate([past(), past(0)]);
  for (const status of ["awaiting_upload", "succeeded", "failed", "canceled"]) assert.equal(estimate.secondsLeft(job({ status }), 0, 1), null);
  let state = 3;
  const random = () => (state = (state * 16807) % 2147483647) / 2147483647;
  let now = 0;
  for (let step = 0; step < 3000; step += 1) {
    now += random() * 5000 - 500; // clocks are set back too
    const stage = STAGES[Math.floor(random() * 11)] ?? (random() < 0.5 ? null : "a stage of tomorrow");
    const left = estimate.secondsLeft(job({ job_id: String(step % 7), stage, progress: random(), attempt: 1 + (step % 2) }), now);
    assert.ok(left === null || (Number.isFinite(left) && left >= 0), `${left} at ${step}`);
  }
});

test("a time is told as roughly as it is known", () => {
  const told = [0, 1.4, 2, 3.4, 4, 7.6, 19.4, 22, 44, 55, 80, 100, 150, 1500, 4000, 9000].map(phrase);
  assert.deepEqual(told, [
    "a moment", "a moment", "a few seconds", "a few seconds", "about 4 s", "about 8 s", "about 19 s", "about 20 s", "about 45 s",
    "about a minute", "about a minute", "about 2 minutes", "about 3 minutes", "about 25 minutes", "about an hour", "about 3 hours",
  ]);
});
