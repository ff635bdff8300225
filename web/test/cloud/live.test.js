import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { CloudError } from "../../src/cloud/errors.js";
import { FIRST_PAUSE, LONGEST_PAUSE, Live, OPEN_WITHIN, PING_EVERY, PONG_WITHIN, STEADY_AFTER, TRIES } from "../../src/cloud/live.js";
import { Clock, FakeEvents, Net, Window, settle } from "./stage.js";

/** @type {Clock} */
let clock;
/** @type {Net} */
let net;
/** @type {Window} */
let page;
/** @type {Live[]} */
const lives = [];
const chance = Math.random;

beforeEach(() => {
  clock = new Clock();
  net = new Net();
  page = new Window();
  FakeEvents.all = [];
});

afterEach(() => {
  for (const live of lives.splice(0)) live.stop();
  assert.equal(clock.pending, 0, "a timer is left after stop()");
  clock.restore();
  Math.random = chance;
  Reflect.deleteProperty(globalThis, "EventSource");
});

const offline = () => Promise.reject(new CloudError("offline", "no answer"));

/** REST as far as Live asks it; answers nothing but what a test puts in. */
class FakeRest {
  /** @type {any[]} */
  list = [];
  asked = 0;
  up = true;
  /** @type {any} */
  job = async () => {
    this.asked += 1;
    return this.up ? this.list[0] : offline();
  };
  jobs = async () => {
    this.asked += 1;
    return this.up ? { jobs: this.list, cursor: null } : offline();
  };
  eventsUrl = async (/** @type {string} */ id) => `https://rest/jobs/${id}/events?token=t`;
}

/**
 * @param {{ jobId?: string, token?: () => Promise<string> }} [how]
 */
function follow({ jobId, token = async () => "t&=" } = {}) {
  const rest = new FakeRest();
  const live = new Live({ config: { socket: "ws://cloud/socket" }, rest: /** @type {any} */ (rest), token, ...(jobId ? { jobId } : {}) });
  lives.push(live);
  /** @type {string[]} */
  const told = [];
  live.addEventListener("state", () => told.push(live.state));
  live.addEventListener("subscribed", () => told.push("subscribed"));
  live.addEventListener("job", (event) => told.push(`${/** @type {CustomEvent} */ (event).detail.job_id}:${/** @type {CustomEvent} */ (event).detail.seq}`));
  live.addEventListener("refused", (event) => told.push(`refused ${/** @type {CustomEvent} */ (event).detail.code}`));
  return { live, rest, told };
}

const job = (/** @type {string} */ id, /** @type {number} */ seq, more = {}) => ({ job_id: id, seq, status: "running", ...more });
const frame = (/** @type {string} */ id, /** @type {number} */ seq) => ({ type: "job", job: job(id, seq) });
const seconds = (/** @type {number} */ count) => count * 1000;

test("a connection is opened with the token, subscribed, and then tells of jobs", async () => {
  const { live, told } = follow();
  live.start();
  await settle();
  net.last.say(frame("a", 3));
  assert.equal(net.last.url, "ws://cloud/socket?token=t%26%3D");
  assert.deepEqual(net.heard.map(({ frame: sent }) => sent), [{ action: "subscribe" }]);
  assert.deepEqual(told, ["connecting", "live", "subscribed", "a:3"]);
});

test("for one job the snapshot is the sign that it is followed", async () => {
  const { live, told } = follow({ jobId: "a" });
  net.onSubscribe = () => frame("a", 5);
  live.start();
  await settle();
  assert.deepEqual(net.heard[0]?.frame, { action: "subscribe", job_id: "a" });
  assert.deepEqual(told, ["connecting", "live", "subscribed", "a:5"]);
});

test("no seq is told twice and none goes back, whatever comes over whichever line", async () => {
  const { live, rest } = follow();
  /** @type {Map<string, number>} */
  const highest = new Map();
  let count = 0;
  live.addEventListener("job", (event) => {
    const { job_id, seq } = /** @type {CustomEvent} */ (event).detail;
    assert.ok(seq > (highest.get(job_id) ?? -1), `${job_id} went from ${highest.get(job_id)} to ${seq}`);
    highest.set(job_id, seq);
    count += 1;
  });
  let state = 7;
  const random = (/** @type {number} */ below) => (state = (state * 16807) % 2147483647) % below;
  live.start();
  await settle();
  /** @type {Map<string, number>} */
  const most = new Map();
  for (let step = 0; step < 600; step += 1) {
    const id = "abc"[random(3)] ?? "";
    const seq = Math.max(0, Math.floor(step / 6) + random(9) - 4);
    const before = live.state;
    if (before === "live") {
      net.last.say(frame(id, seq));
      most.set(id, Math.max(most.get(id) ?? -1, seq));
    }
    rest.list = [job(id, seq)];
    if (random(20) === 0) net.last.end();
    if (random(30) === 0) net.mode = random(2) ? "refuse" : "accept";
    await clock.pass(random(1500));
  }
  assert.ok(count > 100, `only ${count} records were told`);
  for (const [id, seq] of most) assert.ok((highest.get(id) ?? -1) >= seq, "the highest seq was not told");
});

test("frames that make no sense are passed over", async () => {
  const { live, told } = follow();
  live.start();
  await settle();
  for (const nonsense of ["", "{", "null", "[]", "7", '{"type":"job"}', '{"type":"job","job":{"job_id":"a"}}', '{"type":"job","job":{"seq":1}}', '{"type":"?"}']) net.last.say(nonsense);
  net.last.say(frame("a", 1));
  assert.deepEqual(told, ["connecting", "live", "subscribed", "a:1"]);
});

test("each pause is drawn between nothing and a bound that doubles up to fifteen seconds", async () => {
  for (const share of [0.01, 0.5, 0.999999]) {
    Math.random = () => share;
    net.mode = "refuse";
    const { live, rest } = follow();
    rest.up = false;
    live.start();
    await settle();
    for (let failure = 1; failure <= 12; failure += 1) {
      const bound = Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** failure);
      const tries = net.sockets.length;
      assert.equal(live.state, "waiting");
      assert.equal(live.retryAt, clock.now + share * bound);
      await clock.pass(share * bound - 1);
      assert.equal(net.sockets.length, tries, "tried too early");
      await clock.pass(1);
      assert.equal(net.sockets.length, tries + 1, "not tried in time");
    }
    live.stop();
    await settle();
  }
});

test("pauses are spread over all of their range", async () => {
  net.mode = "refuse";
  const { live, rest } = follow();
  rest.up = false;
  /** @type {number[]} */
  const pauses = [];
  live.addEventListener("state", () => live.retryAt !== null && pauses.push(live.retryAt - clock.now));
  live.start();
  await clock.pass(seconds(3600));
  const late = pauses.slice(10);
  assert.ok(late.length > 200);
  assert.ok(late.every((pause) => pause >= 0 && pause <= LONGEST_PAUSE));
  const quarters = [0, 0, 0, 0];
  for (const pause of late) quarters[Math.min(3, Math.floor((pause / LONGEST_PAUSE) * 4))] += 1;
  assert.ok(quarters.every((count) => count > late.length / 8), String(quarters));
});

test("a steady connection that is lost is tried again within a quarter of a second", async () => {
  const { live, told } = follow();
  live.start();
  await clock.pass(STEADY_AFTER);
  net.last.end();
  await clock.pass(FIRST_PAUSE);
  assert.equal(live.state, "live");
  assert.deepEqual(told, ["connecting", "live", "subscribed", "waiting", "connecting", "live", "subscribed"]);
  assert.equal(net.heard.length, 2, "subscribed once on each connection");
});

test("a server that throws everyone out at once is asked ever more seldom", async () => {
  net.mode = "throw out";
  const { live, rest } = follow();
  rest.up = false;
  live.start();
  await clock.pass(seconds(600));
  const last = net.sockets.length;
  await clock.pass(seconds(600));
  const rate = net.sockets.length - last;
  assert.ok(rate > 30 && rate < 200, `${rate} connections in ten minutes; about 80 are meant`);
});

test("an idle connection is pinged every minute, so that nobody ends it", async () => {
  const { live } = follow();
  live.start();
  await clock.pass(seconds(7199));
  assert.equal(net.sockets.length, 1);
  const times = net.heard.map(({ at }) => at);
  assert.equal(times.length, 1 + Math.floor(7199 / 60));
  for (const [index, at] of times.slice(1).entries()) assert.equal(at - Number(times[index]), PING_EVERY);
});

test("a peer that does not answer a ping is dead, and another connection is made", async () => {
  const { live } = follow();
  live.start();
  await settle();
  net.mode = "mute";
  await clock.pass(PING_EVERY + PONG_WITHIN - 1);
  assert.equal(live.state, "live");
  net.mode = "accept";
  await clock.pass(1 + FIRST_PAUSE);
  assert.equal(live.state, "live");
  assert.equal(net.sockets.length, 2);
  assert.equal(net.open, 1);
});

test("a peer that speaks of jobs needs no pong to be alive", async () => {
  const { live } = follow();
  live.start();
  await settle();
  net.mode = "mute";
  await clock.pass(PING_EVERY + 1);
  net.last.say(frame("a", 1));
  await clock.pass(PONG_WITHIN);
  assert.equal(live.state, "live");
  assert.equal(net.sockets.length, 1);
});

test("a connection that never opens is given up after ten seconds, without an error in the console", async () => {
  net.mode = "hang";
  const { live, rest } = follow();
  rest.up = false;
  live.start();
  await clock.pass(OPEN_WITHIN - 1);
  assert.equal(live.state, "connecting");
  await clock.pass(1);
  assert.equal(live.state, "waiting");
  const [first] = net.sockets;
  assert.equal(first?.readyState, 0, "closing a connecting socket is an error to the browser");
  Object.assign(first ?? {}, { readyState: 1 });
  first?.dispatchEvent(new Event("open"));
  assert.equal(first?.readyState, 3, "nobody needs it any more when it does open");
});

test("a subscription that is never answered is given up too", async () => {
  net.mode = "mute";
  const { live } = follow();
  live.start();
  await clock.pass(OPEN_WITHIN);
  assert.equal(live.state, "waiting");
});

test("a function that failed on the subscription is not waited for", async () => {
  net.onSubscribe = () => ({ message: "Internal server error", connectionId: "x=" });
  const { live } = follow();
  live.start();
  await settle();
  assert.equal(live.state, "waiting");
});

test("the token is asked for anew for every try", async () => {
  let count = 0;
  net.admits = (token) => token === "t4";
  const { live } = follow({ token: async () => `t${(count += 1)}` });
  live.start();
  await clock.pass(seconds(5));
  assert.equal(live.state, "live");
  assert.deepEqual(net.sockets.map(({ token }) => token), ["t1", "t2", "t3", "t4"]);
});

test("a token that cannot be had is one more failed try", async () => {
  let failing = true;
  const { live, rest } = follow({ token: () => (failing ? offline() : Promise.resolve("t")) });
  rest.up = false;
  live.start();
  await clock.pass(seconds(30));
  assert.equal(live.state, "waiting");
  assert.equal(net.sockets.length, 0);
  failing = false;
  await clock.pass(LONGEST_PAUSE);
  assert.equal(live.state, "live");
});

for (const [what, wake] of /** @type {const} */ ([
  ["the network is back", () => page.fire("online")],
  ["the page is seen again", () => page.show("visible")],
  ["the page is taken from the cache", () => page.fire("pageshow")],
  ["somebody asks for it", () => lives[0]?.start()],
])) {
  test(`a lost connection is tried at once when ${what}`, async () => {
    Math.random = () => 0.999;
    net.mode = "refuse";
    const { live, rest } = follow();
    rest.up = false;
    live.start();
    await clock.pass(seconds(40));
    assert.equal(live.state, "waiting");
    net.mode = "accept";
    const tries = net.sockets.length;
    wake();
    await settle();
    assert.equal(live.state, "live");
    assert.equal(net.sockets.length, tries + 1);
    await clock.pass(LONGEST_PAUSE);
    assert.equal(net.sockets.length, tries + 1, "the try that was waiting is not made as well");
  });
}

test("a page that is hidden wakes nothing", async () => {
  Math.random = () => 0.999;
  net.mode = "refuse";
  const { live } = follow();
  live.start();
  await settle();
  page.show("hidden");
  await settle();
  assert.equal(net.sockets.length, 1);
});

test("a connection that died asleep is found out within ten seconds of waking", async () => {
  const { live } = follow();
  live.start();
  await clock.pass(STEADY_AFTER);
  net.mode = "mute";
  page.show("visible");
  assert.deepEqual(net.heard.at(-1)?.frame, { action: "ping" });
  net.mode = "accept";
  await clock.pass(PONG_WITHIN + FIRST_PAUSE);
  assert.equal(live.state, "live");
  assert.equal(net.sockets.length, 2);
});

for (const [mode, state] of /** @type {const} */ ([["accept", "live"], ["hang", "connecting"]])) {
  test(`a lost network is shown at once by a line that is ${state}`, async () => {
    net.mode = mode;
    const { live } = follow();
    live.start();
    await settle();
    assert.equal(live.state, state);
    page.fire("offline");
    assert.equal(live.state, "waiting");
  });
}

test("after three failed tries REST is asked every three seconds, until a socket can be had", async () => {
  net.mode = "refuse";
  const { live, rest, told } = follow();
  rest.list = [job("a", 1)];
  live.start();
  await clock.pass(seconds(10));
  assert.equal(live.state, "fallback");
  const asked = rest.asked;
  rest.list = [job("b", 1), job("a", 2)];
  await clock.pass(seconds(30));
  assert.equal(rest.asked - asked, 10);
  assert.ok(net.sockets.length > TRIES, "the socket is still tried");
  assert.deepEqual(told.filter((one) => one.includes(":")), ["a:1", "b:1", "a:2"]);
  net.mode = "accept";
  await clock.pass(LONGEST_PAUSE);
  assert.equal(live.state, "live");
  const then = rest.asked;
  await clock.pass(seconds(20));
  assert.equal(rest.asked, then, "REST is left alone again");
  assert.deepEqual(told.filter((one) => !one.includes(":")), ["connecting", "waiting", "connecting", "waiting", "connecting", "waiting", "fallback", "live", "subscribed"]);
});

test("two failed tries are not yet a reason to ask REST", async () => {
  Math.random = () => 0.999;
  net.mode = "refuse";
  const { live, rest } = follow();
  live.start();
  await clock.pass(FIRST_PAUSE * 2 + 1);
  assert.equal(net.sockets.length, TRIES - 1);
  assert.equal(rest.asked, 0);
});

test("while REST does not answer either it is a wait and no fallback", async () => {
  net.mode = "refuse";
  const { live, rest } = follow();
  live.start();
  await clock.pass(seconds(20));
  assert.equal(live.state, "fallback");
  rest.up = false;
  await clock.pass(seconds(3));
  assert.notEqual(live.state, "fallback");
  rest.up = true;
  await clock.pass(seconds(3));
  assert.equal(live.state, "fallback");
});

test("one job is followed by its events where there is no socket", async () => {
  Object.assign(globalThis, { EventSource: FakeEvents });
  net.mode = "refuse";
  const { live, rest, told } = follow({ jobId: "a" });
  rest.list = [job("a", 1)];
  live.start();
  await clock.pass(seconds(10));
  assert.equal(live.state, "fallback");
  assert.deepEqual(FakeEvents.all.map(({ url }) => url), ["https://rest/jobs/a/events?token=t"]);
  const [events] = FakeEvents.all;
  events?.say(job("a", 1));
  events?.fail(false); // the answer has ended: the browser comes back by itself
  events?.say(job("a", 2));
  await clock.pass(seconds(30));
  assert.equal(rest.asked, 1, "nothing is asked beside the events");
  assert.deepEqual(told.filter((one) => one.includes(":")), ["a:1", "a:2"]);
  net.mode = "accept";
  await clock.pass(LONGEST_PAUSE);
  assert.equal(live.state, "live");
  assert.equal(events?.readyState, 2, "its events are closed when the socket is back");
  events?.say(job("a", 9));
  assert.ok(!told.includes("a:9"));
});

test("events that are refused for good are replaced by asking; those of an ended job by nothing", async () => {
  Object.assign(globalThis, { EventSource: FakeEvents });
  net.mode = "refuse";
  const { live, rest } = follow({ jobId: "a" });
  rest.list = [job("a", 1)];
  live.start();
  await clock.pass(seconds(10));
  FakeEvents.all[0]?.fail(true);
  await clock.pass(seconds(3));
  assert.deepEqual([rest.asked, FakeEvents.all.length], [2, 2]);
  FakeEvents.all[1]?.say(job("a", 2, { status: "succeeded" }));
  FakeEvents.all[1]?.fail(true);
  await clock.pass(seconds(60));
  assert.deepEqual([rest.asked, FakeEvents.all.length], [2, 2]);
});

test("a browser without EventSource asks for the one job", async () => {
  net.mode = "refuse";
  const { live, rest, told } = follow({ jobId: "a" });
  rest.list = [job("a", 1)];
  live.start();
  await clock.pass(seconds(10));
  rest.list = [job("a", 2)];
  await clock.pass(seconds(3));
  assert.deepEqual(told.filter((one) => one.includes(":")), ["a:1", "a:2"]);
});

test("a shared job that is gone is told as refused, and nothing is tried any more", async () => {
  net.onSubscribe = () => ({ type: "error", error: { code: "not_found", message: "There is no such job." } });
  const { live, told } = follow({ jobId: "a" });
  live.start();
  await settle();
  assert.deepEqual(told, ["connecting", "stopped", "refused not_found"]);
  assert.equal(clock.pending, 0);
});

test("a share link that has ended is found out over REST", async () => {
  net.mode = "refuse";
  const { live, rest, told } = follow({ jobId: "a" });
  rest.job = () => Promise.reject(new CloudError("unauthorized", "This link has ended.", 401));
  live.start();
  await clock.pass(seconds(10));
  assert.deepEqual(told.slice(-2), ["stopped", "refused unauthorized"]);
  const tries = net.sockets.length;
  await clock.pass(seconds(100));
  assert.equal(net.sockets.length, tries);
});

for (const when of ["connecting", "live", "waiting", "fallback"]) {
  test(`nothing is left after stopping while ${when}, and it can be started again`, async () => {
    net.mode = when === "connecting" ? "hang" : when === "live" ? "accept" : "refuse";
    const { live, rest, told } = follow();
    rest.up = when !== "waiting";
    live.start();
    await clock.pass(when === "connecting" ? 1 : seconds(20));
    assert.equal(live.state, when);
    live.stop();
    live.stop();
    assert.equal(clock.pending, 0);
    assert.equal(live.retryAt, null);
    const [tries, asked] = [net.sockets.length, rest.asked];
    page.fire("online");
    page.show("visible");
    net.last.say(frame("a", 1));
    net.last.end();
    await clock.pass(seconds(100));
    assert.deepEqual([net.sockets.length, rest.asked], [tries, asked]);
    assert.equal(told.filter((one) => one === "stopped").length, 1);
    assert.equal(told.at(-1), "stopped");
    net.mode = "accept";
    live.start();
    await settle();
    assert.equal(live.state, "live");
  });
}

test("stopped before the token has come, no socket is opened", async () => {
  /** @type {(token: string) => void} */
  let give = () => undefined;
  const { live } = follow({ token: () => new Promise((resolve) => (give = resolve)) });
  live.start();
  live.stop();
  give("t");
  await settle();
  assert.equal(net.sockets.length, 0);
});

test("stopped and started while the token is on its way, one socket is opened", async () => {
  /** @type {((token: string) => void)[]} */
  const waiting = [];
  const { live } = follow({ token: () => new Promise((resolve) => waiting.push(resolve)) });
  live.start();
  live.stop();
  live.start();
  for (const give of waiting) give("t");
  await settle();
  assert.equal(net.sockets.length, 1);
  assert.equal(live.state, "live");
});

for (const [what, event] of /** @type {const} */ ([["the state", "state"], ["the subscription", "subscribed"], ["a job", "job"]])) {
  test(`whoever hears of ${what} may stop it there and then`, async () => {
    net.onSubscribe = () => frame("a", 1);
    const { live } = follow({ jobId: "a" });
    live.addEventListener(event, () => live.stop());
    live.start();
    await clock.pass(seconds(100));
    assert.equal(live.state, "stopped");
    assert.equal(clock.pending, 0);
    assert.equal(net.open, 0);
  });
}

test("what an abandoned socket still brings is not heard", async () => {
  const { live, told } = follow();
  live.start();
  await settle();
  const first = net.last;
  first.end();
  await clock.pass(seconds(1));
  first.say(frame("old", 99));
  first.end();
  assert.equal(live.state, "live");
  assert.ok(!told.includes("old:99"));
});
