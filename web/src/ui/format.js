/** Numbers as people read them. */

/**
 * @param {number | null | undefined} bytes
 * @returns {string} "1.3 MB", in the powers of ten that file managers show
 */
export function size(bytes) {
  if (bytes == null) return "";
  const units = ["bytes", "kB", "MB", "GB"];
  let value = bytes;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  const digits = unit > 0 && value < 9.95 ? 1 : 0;
  return `${value.toFixed(digits)} ${units[unit]}`;
}

/**
 * @param {number} fraction 0..1
 * @returns {string} "42 %"; 100 only when it is
 */
export function percent(fraction) {
  return `${fraction >= 1 ? 100 : Math.min(99, Math.floor(fraction * 100))} %`;
}

/**
 * @param {number} seconds
 * @returns {string} "0.4 s", "12 s", "2 min 5 s"
 */
export function duration(seconds) {
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  if (seconds < 119.5) return `${Math.round(seconds)} s`;
  const whole = Math.round(seconds);
  return `${Math.floor(whole / 60)} min ${whole % 60} s`;
}

/**
 * @param {string} instant ISO 8601
 * @returns {string} "22 Nov, 14:05" in the reader's own language and zone
 */
export function moment(instant) {
  return new Date(instant).toLocaleString(undefined, { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
}
