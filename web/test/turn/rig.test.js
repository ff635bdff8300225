import assert from "node:assert/strict";
import { test } from "node:test";
import { Rig } from "../../src/turn/rig.js";

const HOME = { azimuth: 0, elevation: 0, distance: 4, x: 0, y: 0.5, z: 0 };

/** @param {Rig} rig */
function arrive(rig) {
  rig.step(Infinity);
  return rig.position();
}

/** @param {number[]} actual @param {number[]} expected */
function assertClose(actual, expected) {
  actual.forEach((value, k) => assert.ok(Math.abs(value - expected[k]) < 1e-9, `${actual} is not ${expected}`));
}

test("azimuth 0 sees the front, a quarter to the right sees the right side", () => {
  const rig = new Rig(HOME, 1);
  assertClose(arrive(rig), [0, 0.5, 4]);
  rig.orbit(Math.PI / 2, 0);
  assertClose(arrive(rig), [4, 0.5, 0]);
});

test("the camera never goes over the top nor under the ground's pole", () => {
  const rig = new Rig(HOME, 1);
  rig.orbit(0, 10);
  assert.ok(rig.goal.elevation < Math.PI / 2);
  rig.orbit(0, -20);
  assert.ok(rig.goal.elevation > -Math.PI / 2);
});

test("a step goes the same way whether it is one or many", () => {
  const [one, many] = [new Rig(HOME, 1), new Rig(HOME, 1)];
  one.orbit(1, 0.2);
  many.orbit(1, 0.2);
  one.step(0.12);
  for (let k = 0; k < 12; k += 1) many.step(0.01);
  assertClose(one.position(), many.position());
});

test("it says when it has arrived, and is there exactly", () => {
  const rig = new Rig(HOME, 1);
  rig.orbit(1, 0.2);
  assert.equal(rig.step(0.01), true);
  let steps = 0;
  while (rig.step(1 / 60)) steps += 1;
  assert.ok(steps > 5 && steps < 90, `${steps} pictures`);
  assert.deepEqual(rig.now, rig.goal);
  assert.equal(rig.step(1), false);
});

test("what is taken to the right goes to the right of the picture from every side", () => {
  for (const azimuth of [0, 1, 2.5, -2]) {
    const rig = new Rig({ ...HOME, azimuth }, 1);
    rig.pan(0.05, 0);
    // The target goes left, against the camera's right (cos, 0, -sin).
    const moved = [rig.goal.x - HOME.x, rig.goal.z - HOME.z];
    assert.ok(moved[0] * Math.cos(azimuth) - moved[1] * Math.sin(azimuth) < -0.19);
    assert.equal(rig.goal.y, HOME.y);
  }
});

test("the model cannot be lost: neither by moving it nor by stepping back", () => {
  const rig = new Rig(HOME, 1);
  for (let k = 0; k < 50; k += 1) rig.pan(0.5, -0.5);
  assert.ok(Math.abs(rig.goal.x) <= 1 && Math.abs(rig.goal.y - HOME.y) <= 1);
  rig.zoom(1000);
  assert.equal(rig.goal.distance, 12);
  rig.zoom(1e-9);
  assert.ok(rig.goal.distance > 0);
});

test("framing brings everything back, without unwinding the turns made", () => {
  const rig = new Rig(HOME, 1);
  rig.orbit(4 * Math.PI + 0.3, 0.4);
  rig.pan(0.1, 0.1);
  rig.zoom(0.5);
  rig.step(Infinity);
  rig.frame();
  assert.ok(Math.abs(rig.goal.azimuth - rig.now.azimuth) < Math.PI);
  assertClose(arrive(rig), [0, 0.5, 4]);
});

test("a stage of another shape keeps what was looked at as large as it was", () => {
  const rig = new Rig(HOME, 1);
  rig.zoom(0.5);
  rig.step(Infinity);
  rig.refit(8);
  assert.equal(rig.now.distance, 4);
  rig.frame();
  assert.equal(rig.goal.distance, 8);
});
