import assert from "node:assert/strict";
import { test } from "node:test";
import { sceneViewerLink } from "../../src/turn/ar.js";
import { around } from "../../src/turn/around.js";
import { count, dimensions } from "../../src/turn/facts.js";
import { actionFor } from "../../src/turn/keys.js";
import { stem } from "../../src/turn/screenshot.js";
import { geometryBytes, textureBytes } from "../../src/turn/stats.js";
import { neighbour } from "../../src/turn/tabs.js";
import { degrees, stops } from "../../src/turn/toolbar.js";

/** @param {string} key @param {object} [held] */
function press(key, held = {}) {
  return actionFor({ key, shiftKey: false, ctrlKey: false, metaKey: false, altKey: false, ...held });
}

test("keys mean the same in either case, and nothing once they belong to the browser", () => {
  assert.equal(press("f"), "frame");
  assert.equal(press("F", { shiftKey: true }), "frame");
  assert.equal(press("ArrowLeft"), "left");
  assert.equal(press("ArrowLeft", { shiftKey: true }), "pan-left");
  assert.equal(press("?", { shiftKey: true }), "help");
  assert.deepEqual(["1", "2", "3", "4"].map((key) => press(key)), ["textured", "clay", "wireframe", "normals"]);
  for (const held of ["ctrlKey", "metaKey", "altKey"]) assert.equal(press("s", { [held]: true }), null);
  for (const key of ["Tab", "Escape", "constructor", "toString", "5"]) assert.equal(press(key), null);
});

test("the way around has no end", () => {
  assert.deepEqual([-1, 0, 29, 30, 61, -31].map((k) => around(k, 30)), [29, 0, 29, 0, 1, 29]);
  assert.equal(around(3, 0), 0);
});

test("arrows go round the tabs, Home and End to the outermost", () => {
  assert.deepEqual(["ArrowRight", "ArrowLeft", "Home", "End", "a"].map((key) => neighbour(key, 2, 3)), [0, 1, 0, 2, null]);
});

test("measures are rounded as a ruler shows them", () => {
  assert.equal(dimensions([92.067, 37.278, 100]), "92\u202f×\u202f37\u202f×\u202f100\u00a0mm");
  assert.equal(dimensions([9.94, 3.04, 100]), "9.9\u202f×\u202f3.0\u202f×\u202f100\u00a0mm");
  assert.equal(dimensions(undefined), null);
  assert.deepEqual([0, 999, 20000, 1234567].map(count), ["0", "999", "20\u202f000", "1\u202f234\u202f567"]);
});

test("the sliders speak", () => {
  assert.deepEqual([-0.3, 0, 0.04, 2].map(stops), ["−0.3", "±0", "±0", "+2.0"]);
  assert.deepEqual([-45, 0, 180].map(degrees), ["−45°", "0°", "180°"]);
});

test("a picture is called as the photo, without its ending", () => {
  assert.deepEqual(["a.b.jpg", "vase", ".png"].map(stem), ["a.b", "vase", "model"]);
});

test("Scene Viewer is offered only what it can fetch", () => {
  assert.equal(sceneViewerLink("http://127.0.0.1:8000/mesh.glb"), null);
  const link = String(sceneViewerLink("https://store.example/mesh.glb?a=1&b=2"));
  assert.ok(link.startsWith("intent://arvr.google.com/scene-viewer/1.0?file=https%3A%2F%2Fstore.example%2Fmesh.glb%3Fa%3D1%26b%3D2&"));
  assert.ok(link.endsWith(";end;"));
});

test("bytes on the graphics card: buffers as they are, textures with their smaller copies", () => {
  const attributes = { position: { array: new Float32Array(30) }, uv: { array: new Float32Array(20) } };
  assert.equal(geometryBytes({ attributes, index: { array: new Uint32Array(6) } }), 224);
  assert.equal(geometryBytes({ attributes, index: null }), 200);
  assert.equal(textureBytes(1024, 1024), 4 * 1024 ** 2);
  assert.equal(textureBytes(1024, 1024, { mipmaps: true }), 5592405);
});
