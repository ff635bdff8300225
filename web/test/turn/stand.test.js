import assert from "node:assert/strict";
import { test } from "node:test";
import { distanceFor, standOf } from "../../src/turn/stand.js";

/** A lollipop: a foot of radius 0.1 at (1, 0, 0), a wide top around (0, 2, 0). */
const LOLLIPOP = [0.9, 0, 0, 1.1, 0, 0, 1, 0, 0.1, 1, 0, -0.1, -1, 2, 0, 1, 2, 0, 0, 2, 1, 0, 2, -1];

test("the plinth stands under the foot, not under the middle", () => {
  const { foot, middle, size } = standOf(LOLLIPOP);
  assert.deepEqual(foot, { x: 1, y: 0, z: 0 });
  assert.ok(Math.abs(middle.x - 0.05) < 1e-9 && middle.y === 1);
  assert.equal(size.y, 2);
});

test("the plinth carries all of the foot, and suits what leans over it", () => {
  const narrow = standOf(LOLLIPOP);
  assert.ok(narrow.plinth.radius > 0.1);
  assert.ok(narrow.plinth.radius >= 0.6 * narrow.radius - 1e-9);
  const slab = standOf([-3, 0, -3, 3, 0, 3, -3, 1, -3, 3, 1, 3]);
  assert.ok(slab.plinth.radius > Math.hypot(3, 3));
});

test("the whole model fits the picture, upright and across", () => {
  const stand = standOf(LOLLIPOP);
  const fov = 0.5;
  for (const aspect of [0.5, 1, 2]) {
    const near = distanceFor(stand, fov, aspect) - stand.radius; // to the nearest that it reaches
    const half = near * Math.tan(fov / 2);
    assert.ok(half * aspect * 1.1 > stand.radius, `aspect ${aspect}`);
    assert.ok(half * 1.1 > (stand.size.y + stand.plinth.height) / 2, `aspect ${aspect}`);
  }
  assert.ok(distanceFor(stand, fov, 0.5) > distanceFor(stand, fov, 2));
});
