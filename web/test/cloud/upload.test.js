import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { refused, upload } from "../../src/cloud/upload.js";
import { Clock } from "./stage.js";

/** XMLHttpRequest, of which the test is the server. */
class FakeRequest extends EventTarget {
  /** @type {FakeRequest} */
  static last;
  upload = new EventTarget();
  status = 0;
  responseText = "";
  open = (/** @type {string[]} */ ...how) => void (this.opened = how);
  send = (/** @type {FormData} */ data) => void (this.sent = data);
  abort = () => this.dispatchEvent(new Event("abort"));
  /** @type {FormData | undefined} */
  sent;
  /** @type {string[] | undefined} */
  opened;

  constructor() {
    super();
    FakeRequest.last = this;
  }

  /** @param {number} loaded @param {number} total */
  progress(loaded, total) {
    this.upload.dispatchEvent(Object.assign(new Event("progress"), { loaded, total, lengthComputable: true }));
  }

  /** @param {number} status @param {string} [text] */
  answer(status, text = "") {
    Object.assign(this, { status, responseText: text });
    this.dispatchEvent(new Event("load"));
  }
}

const FORM = { url: "https://bucket", fields: { key: "uploads/j/a.png", "Content-Type": "image/png", policy: "p" } };
const FILE = new File(["photo"], "a.png");
/** @type {Clock} */
let clock;

beforeEach(() => {
  clock = new Clock();
  Object.assign(globalThis, { XMLHttpRequest: FakeRequest });
});

afterEach(() => {
  assert.equal(clock.pending, 0, "a timer is left");
  clock.restore();
});

test("the form's fields go first and the photo last", async () => {
  /** @type {number[]} */
  const told = [];
  const sending = upload(FORM, FILE, { onProgress: (fraction) => told.push(fraction) });
  const request = FakeRequest.last;
  assert.deepEqual(request.opened, ["POST", "https://bucket"]);
  assert.deepEqual([...(request.sent?.keys() ?? [])], ["key", "Content-Type", "policy", "file"]);
  request.progress(1, 4);
  request.progress(4, 4);
  request.answer(204);
  assert.equal(await sending, undefined);
  assert.deepEqual(told, [0.25, 1]);
});

test("stopped before or during the upload, it says so", async () => {
  await assert.rejects(upload(FORM, FILE, { signal: AbortSignal.abort() }), { name: "AbortError" });
  const stopping = new AbortController();
  const sending = upload(FORM, FILE, { signal: stopping.signal });
  stopping.abort();
  await assert.rejects(sending, { name: "AbortError" });
});

test("a line that goes silent is given up after a minute, one that moves is not", async () => {
  const sending = upload(FORM, FILE);
  const ended = assert.rejects(sending, { code: "offline" });
  for (let count = 1; count < 5; count += 1) {
    await clock.pass(59_000);
    FakeRequest.last.progress(count, 10);
  }
  await clock.pass(60_000);
  await ended;
});

test("a line that is lost is told as offline", async () => {
  const sending = upload(FORM, FILE);
  FakeRequest.last.dispatchEvent(new Event("error"));
  await assert.rejects(sending, { code: "offline" });
});

test("what the store refuses comes with a code", async () => {
  const sending = upload(FORM, FILE);
  FakeRequest.last.answer(400, "<Error><Code>EntityTooLarge</Code></Error>");
  await assert.rejects(sending, { name: "CloudError", code: "image_too_large", status: 400 });
});

// Texts as S3 sends them.
for (const [status, code, message, expected] of /** @type {const} */ ([
  [400, "EntityTooLarge", "Your proposed upload exceeds the maximum allowed size", "image_too_large"],
  [400, "EntityTooSmall", "Your proposed upload is smaller than the minimum allowed size", "empty_file"],
  [403, "AccessDenied", "Invalid according to Policy: Policy expired.", "upload_expired"],
  [400, "ExpiredToken", "The provided token has expired.", "upload_expired"],
  [403, "AccessDenied", "Invalid according to Policy: Policy Condition failed", "upload_refused"],
  [403, "SignatureDoesNotMatch", "The request signature we calculated does not match", "upload_refused"],
  [400, "RequestTimeout", "Your socket connection to the server was not read from or written to", "upload_interrupted"],
  [503, "SlowDown", "Please reduce your request rate.", "upload_interrupted"],
])) {
  test(`${code} (${message.slice(0, 45)}) is told as ${expected}`, () => {
    const xml = `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${code}</Code><Message>${message}</Message><Key>expired.png</Key></Error>`;
    const error = refused(status, xml);
    assert.deepEqual([error.code, error.status], [expected, status]);
    assert.match(error.message, /^[A-Z].*\.$/);
  });
}

test("a refusal without XML is one as well", () => {
  assert.equal(refused(403, "").code, "upload_refused");
  assert.equal(refused(500, "<html>").code, "upload_interrupted");
});
