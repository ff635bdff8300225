/** What this side says must be what the other side knows: stages, options and codes are read from its sources. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { meaning } from "../../src/shelf/failures.js";
import { FIELDS } from "../../src/shelf/options.js";
import { STAGES } from "../../src/ui/stages.js";

/** @param {string} path */
const source = (path) => readFileSync(new URL(`../../../infra/${path}`, import.meta.url), "utf8");

/** @param {RegExpMatchArray[]} matches */
const firsts = (matches) => matches.map((match) => match[1]);

test("the stages are those of the pipeline, in its order", () => {
  const shares = source("stages.py").match(/SHARES = \{([^}]*)\}/)?.[1] ?? "";
  assert.deepEqual(
    STAGES.map(([stage]) => stage),
    firsts([...shares.matchAll(/"(\w+)":/g)]),
  );
});

test("the options are those of a job, within its bounds", () => {
  const text = source("options.py");
  const fields = text.match(/^class Options:[\s\S]*? BOUNDS:/m)?.[0] ?? "";
  const names = firsts([...fields.matchAll(/^ {4}([a-z_]+): /gm)]);
  assert.deepEqual(FIELDS.map(({ name }) => name).sort(), names.sort());
  for (const { name, min, max } of FIELDS) {
    if (min === undefined) continue;
    const [, low, high] = text.match(new RegExp(`"${name}": \\(([\\d._]+), ([\\d._]+)\\)`)) ?? [];
    assert.deepEqual([name, min, max], [name, Number(low?.replaceAll("_", "")), Number(high?.replaceAll("_", ""))]);
  }
});

test("the standard values are the server's own", () => {
  const text = source("options.py");
  for (const { name, standard } of FIELDS) {
    const said = text.match(new RegExp(`^ {4}${name}: .* = (.*)$`, "m"))?.[1];
    const value = said?.replaceAll(/["_]/g, "").replace(/^(None|\(\))$/, "").replace("False", "false") ?? "";
    assert.equal(typeof standard === "number" ? Number(value) : value, standard, name);
  }
});

test("what is chosen goes to the server as what it takes: numbers, lists of them, truths, words", () => {
  const sent = Object.fromEntries(FIELDS.map(({ name, choices, standard, read }) => [name, (read ?? String)(choices?.at(-1)?.value ?? String(standard))]));
  assert.deepEqual(sent.lods, [5000, 1000, 300]);
  assert.equal(sent.ambient_occlusion, true);
  assert.equal(sent.texture_size, 4096);
  assert.equal(sent.view_size, 1024);
  assert.equal(sent.foreground_ratio, 0.85);
  assert.equal(sent.parts, "all");
});

test("every code that a job can end with has a meaning", () => {
  const tree = source("errors.py");
  const own = meaning("no such code").title;
  const branches = tree.match(/├── BadInput[\s\S]*?├── AccessError/)?.[0] ?? "";
  const codes = [...firsts([...branches.matchAll(/ {2}([a-z_]+)$/gm)]), "deadline_exceeded", "worker_lost", "internal_error"];
  assert.ok(codes.length >= 16);
  for (const code of codes) assert.notEqual(meaning(code).title, own, code);
});
