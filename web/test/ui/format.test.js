import assert from "node:assert/strict";
import { test } from "node:test";
import { duration, percent, size } from "../../src/ui/format.js";

test("sizes are told in the unit that leaves one to three digits", () => {
  const told = { 0: "0 bytes", 999: "999 bytes", 1000: "1.0 kB", 9_949: "9.9 kB", 9_951: "10 kB", 999_499: "999 kB", 999_500: "1.0 MB", 64e6: "64 MB", 5e12: "5000 GB" };
  for (const [bytes, text] of Object.entries(told)) assert.equal(size(Number(bytes)), text);
  assert.equal(size(null), "");
});

test("a hundred per cent is said only of what is done", () => {
  assert.equal(percent(0), "0 %");
  assert.equal(percent(0.999), "99 %");
  assert.equal(percent(1), "100 %");
});

test("durations are told as precisely as anyone cares", () => {
  assert.equal(duration(0.42), "0.4 s");
  assert.equal(duration(9.96), "10 s");
  assert.equal(duration(119), "119 s");
  assert.equal(duration(125.4), "2 min 5 s");
});
