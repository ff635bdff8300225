import assert from "node:assert/strict";
import { test } from "node:test";
import { jobAddress, parse } from "../src/router.js";

test("an empty fragment is the first page", () => {
  for (const hash of ["", "#", "#/"]) assert.deepEqual(parse(hash), { view: "home" });
});

test("a job's address leads back to the job, whatever its id", () => {
  for (const jobId of ["0b9d", "a b", "ä/ö", "100%"]) assert.deepEqual(parse(jobAddress(jobId)), { view: "job", jobId });
});

test("a share link names a job and its token", () => {
  assert.deepEqual(parse("#/shared/0b9d/ey.J-_.x"), { view: "shared", jobId: "0b9d", token: "ey.J-_.x" });
});

test("addresses that lack something lead nowhere", () => {
  for (const hash of ["#/jobs", "#/jobs/", "#/shared/0b9d", "#/shared//t", "#/elsewhere"]) {
    assert.deepEqual(parse(hash), { view: "nowhere" });
  }
});

test("a lone per cent sign does no harm", () => {
  assert.deepEqual(parse("#/jobs/100%"), { view: "job", jobId: "100%" });
});
