/** Both sides must tell the same of the same bytes: the server's own function is asked, where there is a Python. */

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { measure } from "../../src/cloud/dimensions.js";
import { sniff } from "../../src/cloud/sniff.js";
import { HEADERS } from "./pictures.js";

const ROOT = fileURLToPath(new URL("../../..", import.meta.url));
const PYTHON = join(ROOT, ".venv/bin/python");

/** @param {string} program @param {unknown} input */
function python(program, input) {
  const ended = spawnSync(PYTHON, ["-c", program], { cwd: ROOT, input: JSON.stringify(input), encoding: "utf8", maxBuffer: 2 ** 26 });
  assert.equal(ended.status, 0, ended.stderr);
  return JSON.parse(ended.stdout);
}

const SERVER = `
import base64, json, sys
from gpu_container.sniff import ACCEPTED, sniff
from infra.errors import UnsupportedImage
def tell(data):
    try:
        return "image/" + sniff(data)
    except UnsupportedImage as error:
        return error.message.split(", not like")[0].removeprefix("This looks like ").split(" at once")[0].removeprefix("This file is a picture and ")
print(json.dumps([tell(base64.b64decode(text)) for text in json.load(sys.stdin)]))
`;

/** @param {string} text @returns {Uint8Array} one byte for each letter */
const bytes = (text) => Uint8Array.from(text, (letter) => letter.charCodeAt(0));

/** @returns {Uint8Array[]} beginnings of all that is known, whole, cut, and with bytes changed; and endings */
function corpus() {
  const starts = [
    "%PDF-1.4", "PK\x03\x04", "PK\x05\x06" + "\0".repeat(18), "\x1f\x8b", "7z\xbc\xaf", "Rar!", "8BPS", "\xff\x0a", "\0\0\0\x0cJXL ", "\0\0\0\x0cjP  ", "\xff\x4f\xff\x51", "\0\0\x01\0",
    "v/1\x01", "qoif", "\x1aE\xdf\xa3", "glTF", "{\\rtf", "%!PS", "\x7fELF", "MZ", "GIF87a", "II*\0", "II+\0", "MM\0+", "RIFF\0\0\0\0WEBP", "RIFF\0\0\0\0AVI ", "BM", "B", "\xff\xd8",
    "<!DOCTYPE HTML>", "\xef\xbb\xbf\n <html>", "<?xml?><svg>", "<?xml?><a>", "x<html", "x <SVG", "plain", "\xe4\xb8", "\xe4\xb8\xad caf\xc3\xa9", "caf\xe9 au lait", "a\0b", "\x1b[0m", " ", "\t\v\f<svg",
    "\0\0\0\x14ftypmif1\0\0\0\0heic", "\0\0\0\x14ftypmif1\0\0\0\0avif", "\0\0\0\x10ftypmif1\0\0\0\0avif", "\0\0\0\x18ftypisom\0\0\0\0mp41avis", "\xff\xff\xff\xffftypqt  \0\0\0\0heix", "ftyp", "\0\0\0\0ftyp",
  ].map(bytes);
  const pictures = Object.values(HEADERS).map((header) => header(640, 480));
  const end = bytes("PK\x05\x06" + "\0".repeat(16) + "\x03\0abc");
  const joined = (/** @type {Uint8Array[]} */ ...parts) => Uint8Array.from(parts.flatMap((part) => [...part]));
  const all = [...starts, ...pictures];
  for (const one of [...all]) for (let length = 1; length < Math.min(one.length, 24); length += 3) all.push(one.slice(0, length));
  for (const one of pictures) {
    all.push(joined(one, new Uint8Array(2000), end), joined(one, end, end), joined(one, end, bytes("z")), joined(one, end.slice(0, 21)));
    all.push(joined(one, bytes("%PDF-")), joined(one, new Uint8Array(1024 - one.length - 5), bytes("%PDF-")), joined(one, new Uint8Array(1024 - one.length - 4), bytes("%PDF-")));
    all.push(joined(one, new Uint8Array(70000), end, new Uint8Array(10)));
  }
  for (const [size, after] of [[4090, "<svg>"], [4091, "<svg>"], [4093, "<svg>"], [4095, "\xc3\xa9"]]) all.push(bytes("a".repeat(Number(size)) + after));
  let state = 11;
  const random = (/** @type {number} */ below) => (state = (state * 16807) % 2147483647) % below;
  for (let count = 0; count < 1000; count += 1) {
    const one = all[random(starts.length + pictures.length)]?.slice() ?? new Uint8Array([1]);
    one[random(Math.min(one.length, 16))] = random(256);
    all.push(one);
  }
  return all.filter((one) => one.length > 0);
}

test("the server tells the same of more than a thousand files", { skip: !existsSync(PYTHON) && "no .venv with the server's Python" }, async () => {
  const files = corpus();
  assert.ok(files.length > 1000);
  /** @type {string[]} */
  const told = python(SERVER, files.map((data) => Buffer.from(data).toString("base64")));
  for (const [index, data] of files.entries()) {
    const found = await sniff(new Blob([data]));
    const here = "stranger" in found ? found.stranger : "second" in found ? found.second : found.type;
    assert.equal(here, told[index], `of ${JSON.stringify(Buffer.from(data.subarray(0, 40)).toString("latin1"))}, ${data.length} bytes`);
  }
  assert.ok(new Set(told).size > 30, "the files are of many kinds");
});

const PICTURES = `
import json, sys
from pathlib import Path
import pillow_heif
from PIL import Image
pillow_heif.register_heif_opener()
folder, made = Path(json.load(sys.stdin)), {}
for kind, format, how in [("jpeg", "JPEG", {}), ("jpeg", "JPEG", {"progressive": True}), ("png", "PNG", {}), ("webp", "WEBP", {}), ("webp", "WEBP", {"lossless": True}),
                          ("gif", "GIF", {}), ("bmp", "BMP", {}), ("tiff", "TIFF", {}), ("avif", "AVIF", {}), ("heic", "HEIF", {})]:
    for size in [(643, 481), (75, 1200)]:
        for mode in ("RGB", "RGBA") if format in ("PNG", "WEBP", "AVIF", "HEIF") else ("RGB",):
            name = f"{len(made)}.{kind}"
            Image.new(mode, size, (200, 90, 30)).save(folder / name, format, **how)
            made[name] = size
print(json.dumps(made))
`;

test("the sizes of real pictures are read as Pillow reads them", { skip: !existsSync(PYTHON) && "no .venv with the server's Python" }, async () => {
  const folder = mkdtempSync(join(tmpdir(), "maquette-pictures-"));
  try {
    const made = /** @type {Record<string, [number, number]>} */ (python(PICTURES, folder));
    assert.ok(Object.keys(made).length >= 28);
    for (const [name, [width, height]] of Object.entries(made)) {
      const file = new Blob([readFileSync(join(folder, name))]);
      const type = `image/${name.split(".")[1]}`;
      assert.deepEqual(await sniff(file), { type }, name);
      // The coder of HEIC rounds odd sides up, and notes beside it what to cut off again.
      const whole = (/** @type {number} */ side) => (type === "image/heic" ? side + (side % 2) : side);
      assert.deepEqual(await measure(file, type), { width: whole(width), height: whole(height) }, name);
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
});
