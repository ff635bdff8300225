import assert from "node:assert/strict";
import { test } from "node:test";
import { lamp, sky } from "../../src/turn/sky.js";

test("all directions are of length 1, lead upwards, and share the light out", () => {
  const rays = [...sky(24, 0.6), ...lamp({ x: 0, y: 0.8, z: 0.6 }, 0.3, 12, 0.4)];
  for (const { x, y, z } of rays) {
    assert.ok(Math.abs(Math.hypot(x, y, z) - 1) < 1e-9);
    assert.ok(y > 0.1);
  }
  assert.ok(Math.abs(rays.reduce((sum, { weight }) => sum + weight, 0) - 1) < 1e-9);
});

test("a matt floor sees the zenith most: the mean height is two thirds", () => {
  const rays = sky(2000, 1);
  const mean = rays.reduce((sum, { y }) => sum + y, 0) / rays.length;
  assert.ok(Math.abs(mean - 2 / 3) < 0.005, String(mean));
  assert.ok(Math.abs(rays.reduce((sum, { x }) => sum + x, 0) / rays.length) < 0.005);
});

test("a lamp's directions lie around it", () => {
  const towards = { x: -0.6, y: 0.64, z: 0.48 };
  for (const ray of lamp(towards, 0.2, 16, 1)) {
    assert.ok(ray.x * towards.x + ray.y * towards.y + ray.z * towards.z > Math.cos(0.2));
  }
});
