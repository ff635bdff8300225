import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { CloudError } from "../../src/cloud/errors.js";
import { MAX_BYTES, MAX_PIXELS, MIN_SIDE, PhotoError, TYPES, examine, thumbnail } from "../../src/cloud/photo.js";
import { HEADERS } from "./pictures.js";

/** @param {string} path */
const source = (path) => readFileSync(new URL(`../../../${path}`, import.meta.url), "utf8");

/** A file that claims to have more bytes than it has. */
class Claiming extends File {
  /** @param {number} size */
  constructor(size) {
    super([HEADERS["image/png"](640, 480)], "big.png");
    Object.defineProperty(this, "size", { value: size });
  }
}

test("the limits are the server's own", () => {
  /** @param {RegExp} pattern @param {string} path */
  const said = (pattern, path) => source(path).match(pattern)?.[1]?.replaceAll("_", "");
  assert.equal(said(/^MAX_BYTES = (.+)$/m, "gpu_container/photo.py"), "64 * 2**20");
  assert.equal(said(/^MAX_PHOTO_BYTES = (.+)$/m, "infra/storage.py"), "64 * 2**20");
  assert.equal(MAX_BYTES, 64 * 2 ** 20);
  assert.equal(said(/^MAX_PIXELS = ([\d_]+)$/m, "gpu_container/photo.py"), String(MAX_PIXELS));
  assert.equal(said(/^MIN_SIDE = (\d+)$/m, "gpu_container/photo.py"), String(MIN_SIDE));
  assert.equal(said(/^WORKING_SIDE = (\d+)$/m, "gpu_container/photo.py"), "2048");
  const taken = [...source("infra/storage.py").matchAll(/"(image\/\w+)"/g)].map((match) => match[1]);
  for (const type of TYPES) assert.ok(taken.includes(type), type);
});

for (const [type, header] of Object.entries(HEADERS)) {
  test(`a picture of ${type} is told with its size from its header, whatever it is called`, async () => {
    const file = new File([header(641, 481), new Uint8Array(500)], "notes.txt", { type: "text/html" });
    assert.deepEqual(await examine(file), { type, width: 641, height: 481 });
  });

  test(`a picture of ${type} that announces too many pixels is refused without being decoded`, async () => {
    const file = new File([header(16000, 16000)], "bomb");
    const error = { name: "PhotoError", code: "image_too_large", message: /16000 by 16000 pixels; at most 80 megapixels/ };
    await assert.rejects(examine(file), error);
    assert.equal(await thumbnail(file), null);
  });

  test(`a picture of ${type} cut short anywhere in its header is left to the server`, async () => {
    const whole = new Uint8Array(header(641, 481));
    for (let length = 1; length < whole.length; length += 1) {
      const cut = new File([whole.subarray(0, length)], "cut");
      try {
        const found = await examine(cut);
        assert.equal(found.type, type);
        assert.ok(found.width === null || (found.width === 641 && found.height === 481), `${length}: ${found.width}`);
      } catch (error) {
        assert.equal(/** @type {CloudError} */ (error).code, "unsupported_image", String(error)); // too short to be told
      }
    }
  });
}

for (const [width, height, lack] of /** @type {const} */ ([
  [31, 400, "small"],
  [400, 31, "small"],
  [1, 1, "small"],
  [4096, 62, "narrow"],
])) {
  test(`${width} by ${height} pixels are too ${lack}`, async () => {
    await assert.rejects(examine(new File([HEADERS["image/png"](width, height)], "x")), { code: "image_too_small", message: new RegExp(`${width} by ${height} pixels: too ${lack} .* 32 by 32`) });
  });
}

test("what lies just within the limits is taken", async () => {
  for (const [width, height] of [[32, 32], [32, 2048], [4096, 64], [10000, 8000]]) {
    assert.deepEqual(await examine(new File([HEADERS["image/png"](Number(width), Number(height))], "x")), { type: "image/png", width, height });
  }
});

test("an empty file is told as that", async () => {
  await assert.rejects(examine(new File([], "photo.jpg", { type: "image/jpeg" })), { code: "empty_file" });
});

test("a file of too many bytes is refused without being read", async () => {
  await assert.rejects(examine(new Claiming(MAX_BYTES + 1)), { code: "image_too_large", message: /64 MiB; at most 64|65 MiB/ });
  assert.equal((await examine(new Claiming(MAX_BYTES))).type, "image/png");
});

test("a file that cannot be read any more is told as that", async () => {
  const file = new File(["x"], "gone.png");
  file.slice = () => /** @type {any} */ ({ arrayBuffer: () => Promise.reject(new DOMException("gone", "NotFoundError")) });
  await assert.rejects(examine(file), { code: "unreadable_file", message: /Choose it again/ });
});

for (const [bytes, what] of /** @type {const} */ ([
  ["<!DOCTYPE html><script>alert(1)</script>", "a web page (HTML)"],
  ["\ufeff  <html>", "a web page (HTML)"],
  ['<?xml version="1.0"?><svg onload="alert(1)"/>', "an SVG drawing"],
  ["<svg xmlns='http://www.w3.org/2000/svg'/>", "an SVG drawing"],
  ["%PDF-1.7", "a PDF document"],
  ["PK\x03\x04word", "a ZIP archive (or an office document)"],
  ["\0\0\0\x18ftypisom\0\0\0\0", "a video"],
  ["Dear diary", "plain text"],
])) {
  test(`${JSON.stringify(bytes).slice(0, 30)} named and declared as a JPEG is told as ${what}`, async () => {
    const file = new File([bytes], "holiday.jpg", { type: "image/jpeg" });
    await assert.rejects(examine(file), (/** @type {PhotoError} */ error) => {
      assert.ok(error instanceof PhotoError && error instanceof CloudError);
      assert.equal(error.code, "unsupported_image");
      assert.ok(error.message.startsWith(`This looks like ${what}, not like a photo.`), error.message);
      return true;
    });
  });
}

test("a picture that is a document or an archive as well is refused", async () => {
  const png = HEADERS["image/png"](640, 480);
  const end = new Uint8Array([0x50, 0x4b, 5, 6, ...Array(16).fill(0), 2, 0, 0x68, 0x69]);
  await assert.rejects(examine(new File([png, "%PDF-1.4"], "x.png")), { code: "unsupported_image", message: /a picture and a PDF document at once/ });
  await assert.rejects(examine(new File([png, new Uint8Array(9000), end], "x.png")), { code: "unsupported_image", message: /a picture and a ZIP archive at once/ });
  assert.equal((await examine(new File([png, end, "more"], "x.png"))).type, "image/png", "an archive ends where the file does");
});

test("a thumbnail of what is no photo, or cannot be drawn here, is none", async () => {
  assert.equal(await thumbnail(new File(["<svg/>"], "x.png")), null);
  assert.equal(await thumbnail(new File([HEADERS["image/heic"](640, 480)], "x.heic")), null);
});

test("a JPEG's size is found behind any number of segments, and the largest of a HEIF's counts", async () => {
  const exif = new Uint8Array([0xff, 0xe1, 0xff, 0xff, ...new Uint8Array(0xfffd)]);
  const [start, rest] = [new Uint8Array([0xff, 0xd8]), HEADERS["image/jpeg"](800, 600).slice(2)];
  const file = new File([start, ...Array(20).fill(exif), rest], "x.jpg");
  assert.deepEqual(await examine(file), { type: "image/jpeg", width: 800, height: 600 });
});
