/**
 * How long still: what past jobs took, per stage and engine, scaled by how this one has kept up so far. Without a
 * past, the pace that was seen here. No past and nothing seen: no promise.
 */

/** @typedef {import("./rest.js").Job} Job */
/**
 * What was seen of a running job, in milliseconds of this page's clock.
 *
 * @typedef {{ attempt: number, first: Sight, last: Sight }} Trail
 */
/** @typedef {{ stage: string | null, progress: number, at: number }} Sight */

/** Every stage with its share of the whole in `progress`, in order; the server's own (infra/stages.py). */
export const SHARES = Object.freeze({
  decode: 0.01,
  matte: 0.08,
  frame: 0.05,
  reconstruct: 0.18,
  render: 0.31,
  mesh: 0.07,
  texture: 0.23,
  export: 0.04,
  upload: 0.03,
});
const STAGES = /** @type {(keyof typeof SHARES)[]} */ (Object.keys(SHARES));

/** without a past: the share that must have been seen done, and in how many seconds at least, before it is a pace */
const ENOUGH_DONE = 0.15;
const ENOUGH_SECONDS = 2;
/** with a past: the seconds that should have been needed, before a job counts as slower or faster; and by how much at most */
const ENOUGH_TO_COMPARE = 0.5;
const SLOWEST = 4;
const FASTEST = 0.5;

export class Estimate {
  /** @type {Map<string, number[]>} engine → seconds per stage */
  #medians = new Map();
  /** @type {string | null} the engine of the last job that left the choice open, else of the last one */
  #usual = null;
  /** @type {Map<string, Trail>} */
  #trails;

  /**
   * @param {Job[]} pastJobs newest first; those that have not succeeded say nothing
   * @param {Estimate} [earlier] the one that this takes the place of: what it has seen is taken over
   */
  constructor(pastJobs, earlier) {
    this.#trails = earlier ? earlier.#trails : new Map();
    const succeeded = pastJobs.filter((job) => job.status === "succeeded" && job.engine);
    this.#usual = (succeeded.find((job) => asked(job) === "auto") ?? succeeded[0])?.engine ?? null;
    for (const engine of new Set(succeeded.map((job) => String(job.engine)))) {
      const timings = succeeded.filter((job) => job.engine === engine).map((job) => job.timings);
      this.#medians.set(engine, STAGES.map((stage) => median(timings.map((seconds) => seconds[stage] ?? 0))));
    }
  }

  /**
   * Called again and again while a job runs, it sees how fast the job is.
   *
   * @param {Job} job
   * @param {number} now milliseconds since 1970
   * @param {number | null} [queuePosition] 1 for the next one
   * @returns {number | null} seconds, never negative; null when there is no honest answer
   */
  secondsLeft(job, now, queuePosition) {
    const medians = this.#medians.get(job.engine ?? (asked(job) === "auto" ? (this.#usual ?? "") : asked(job)));
    const total = sum(medians ?? []);
    if (job.status === "queued") return total > 0 && queuePosition ? queuePosition * total : null;
    if (job.status !== "running") {
      this.#trails.delete(job.job_id);
      return null;
    }
    const trail = this.#follow(job, now);
    const since = (now - trail.last.at) / 1000;
    return medians && total > 0 ? byPast(trail, medians, since) : byPace(trail, since);
  }

  /**
   * @param {Job} job
   * @param {number} now
   * @returns {Trail}
   */
  #follow(job, now) {
    const sight = { stage: job.stage, progress: job.progress, at: now };
    const known = this.#trails.get(job.job_id);
    // Another attempt begins from the start, though its progress does not fall.
    const trail = known?.attempt === job.attempt ? known : { attempt: job.attempt, first: sight, last: sight };
    if (trail.last.stage !== sight.stage || trail.last.progress !== sight.progress) trail.last = sight;
    this.#trails.set(job.job_id, trail);
    return trail;
  }
}

/**
 * @param {Trail} trail
 * @param {number[]} medians
 * @param {number} since seconds since the last change
 */
function byPast({ first, last }, medians, since) {
  const done = usualSeconds(last, medians);
  const usual = done - usualSeconds(first, medians);
  const real = (last.at - first.at) / 1000;
  const pace = usual >= ENOUGH_TO_COMPARE ? Math.min(SLOWEST, Math.max(FASTEST, real / usual)) : 1;
  const ahead = sum(medians.slice(placeOf(last) + 1));
  const present = sum(medians) - done - ahead;
  // A stage that tells nothing in between still passes; but what comes after it is not begun before it has ended.
  return pace * ahead + Math.max(0, pace * present - since);
}

/**
 * @param {Trail} trail
 * @param {number} since seconds since the last change
 * @returns {number | null}
 */
function byPace({ first, last }, since) {
  const gained = last.progress - first.progress;
  const seconds = (last.at - first.at) / 1000;
  if (gained < ENOUGH_DONE || seconds < ENOUGH_SECONDS) return null;
  return Math.max(0, (seconds * (1 - last.progress)) / gained - since);
}

/**
 * The seconds that it usually takes to come this far.
 *
 * @param {Sight} sight
 * @param {number[]} medians
 */
function usualSeconds(sight, medians) {
  const at = placeOf(sight);
  const stage = STAGES[at];
  if (stage === undefined) return 0;
  const before = sum(STAGES.slice(0, at).map((name) => SHARES[name]));
  const within = (sight.progress - before) / SHARES[stage];
  // Beyond its stage, progress is that of an attempt that came further: it tells nothing of this one.
  const fraction = within > 1.001 ? 0 : Math.max(0, within);
  return sum(medians.slice(0, at)) + Math.min(1, fraction) * (medians[at] ?? 0);
}

/**
 * @param {Sight} sight
 * @returns {number} of its stage; -1 before the first
 */
function placeOf({ stage }) {
  return STAGES.findIndex((name) => name === stage);
}

/**
 * @param {number} seconds
 * @returns {string} "a moment", "a few seconds", "about 8 s", "about a minute", "about 3 minutes"
 */
export function phrase(seconds) {
  if (seconds < 1.5) return "a moment";
  if (seconds < 3.5) return "a few seconds";
  if (seconds < 20) return `about ${Math.round(seconds)} s`;
  if (seconds < 47.5) return `about ${Math.round(seconds / 5) * 5} s`;
  if (seconds < 90) return "about a minute";
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `about ${minutes} minutes`;
  return minutes < 90 ? "about an hour" : `about ${Math.round(minutes / 60)} hours`;
}

/** @param {Job} job */
function asked(job) {
  return String(job.options["engine"] ?? "auto");
}

/** @param {number[]} values */
function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? (sorted[middle] ?? 0) : ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2;
}

/** @param {number[]} values */
function sum(values) {
  return values.reduce((total, value) => total + value, 0);
}
