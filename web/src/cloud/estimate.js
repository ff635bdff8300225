/** How long still: medians of what past jobs took, per stage and engine. No past, no promise. */

/** @typedef {import("./rest.js").Job} Job */

const STAGES = ["decode", "matte", "frame", "reconstruct", "render", "mesh", "texture", "export", "upload"];
/** without a past: the share that must be done, and the seconds that must have passed, before its pace says anything */
const ENOUGH_DONE = 0.15;
const ENOUGH_SECONDS = 2;

export class Estimate {
  /** @type {Map<string, Map<string, number>>} engine → stage → seconds */
  #medians = new Map();
  /** @type {string | null} the engine that the last job got which left the choice open */
  #usual = null;
  /** @type {Map<string, number>} when each running job was first seen, milliseconds */
  #seen = new Map();

  /** @param {Job[]} pastJobs succeeded ones, newest first */
  constructor(pastJobs) {
    /** @type {Map<string, Job[]>} */
    const byEngine = new Map();
    for (const job of pastJobs) {
      if (!job.engine) continue;
      this.#usual ??= job.engine;
      byEngine.set(job.engine, [...(byEngine.get(job.engine) ?? []), job]);
    }
    for (const [engine, jobs] of byEngine) {
      this.#medians.set(
        engine,
        new Map(STAGES.map((stage) => [stage, median(jobs.map((job) => job.timings[stage] ?? 0))])),
      );
    }
  }

  /**
   * @param {Job} job
   * @param {number} now milliseconds since 1970
   * @param {number} [queuePosition] 1 for the next one
   * @returns {number | null} seconds, null when there is no honest answer
   */
  secondsLeft(job, now, queuePosition) {
    const asked = String(job.options.engine ?? "auto");
    const medians = this.#medians.get(job.engine ?? (asked === "auto" ? (this.#usual ?? "") : asked));
    if (job.status === "queued") {
      if (!medians || !queuePosition) return null;
      return queuePosition * sum(medians.values());
    }
    if (job.status !== "running") return null;
    if (!this.#seen.has(job.job_id)) this.#seen.set(job.job_id, now);
    if (!medians || !job.stage) return this.#byPace(job, now);

    const at = STAGES.indexOf(job.stage);
    const done = STAGES.slice(0, at);
    const usual = sum(done.map((stage) => medians.get(stage) ?? 0));
    const real = sum(done.map((stage) => job.timings[stage] ?? 0));
    const pace = usual > 0.5 && real > 0 ? Math.min(4, Math.max(0.5, real / usual)) : 1;
    const total = sum(medians.values());
    // The progress is a share of the whole: what of it lies beyond the stages done belongs to the present one.
    const within = Math.max(0, job.progress * total - usual);
    const present = Math.max(0, (medians.get(job.stage) ?? 0) - within);
    const ahead = sum(STAGES.slice(at + 1).map((stage) => medians.get(stage) ?? 0));
    return pace * (present + ahead);
  }

  /**
   * @param {Job} job
   * @param {number} now
   * @returns {number | null}
   */
  #byPace(job, now) {
    const seconds = (now - (this.#seen.get(job.job_id) ?? now)) / 1000;
    if (job.progress < ENOUGH_DONE || seconds < ENOUGH_SECONDS) return null;
    return (seconds * (1 - job.progress)) / job.progress;
  }
}

/**
 * @param {number} seconds
 * @returns {string} "a moment", "about 8 s", "about a minute"
 */
export function phrase(seconds) {
  if (seconds < 1.5) return "a moment";
  if (seconds < 20) return `about ${Math.round(seconds)} s`;
  if (seconds < 50) return `about ${Math.round(seconds / 5) * 5} s`;
  const minutes = Math.round(seconds / 60);
  return minutes <= 1 ? "about a minute" : `about ${minutes} minutes`;
}

/** @param {number[]} values */
function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? (sorted[middle] ?? 0) : ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2;
}

/** @param {Iterable<number>} values */
function sum(values) {
  let total = 0;
  for (const value of values) total += value;
  return total;
}
