// Numbers, times and sizes as people read them.

const WHOLE = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });
const FINE = new Intl.NumberFormat("en-US", { maximumSignificantDigits: 3 });
const CLOCK = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const DAY = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", second: "2-digit" });
const SPACE = "\u202f";

/** 12345 -> 12,345 */
export const whole = (value) => WHOLE.format(value);

/** 0.1234 -> 0.123; 12.3456 -> 12.3; 1234.5 -> 1,235 */
export const fine = (value) => (Math.abs(value) >= 100 ? WHOLE.format(value) : FINE.format(value));

/** 12345 -> 12.3k, for axes */
export function short(value) {
  if (Math.abs(value) >= 1e6) return `${FINE.format(value / 1e6)}M`;
  if (Math.abs(value) >= 1e4) return `${FINE.format(value / 1e3)}k`;
  return FINE.format(value);
}

/** Milliseconds -> 0 ms, 12 ms, 1.23 s, 2 min 5 s, 3 h 12 min, 4 d 2 h */
export function duration(ms) {
  if (ms < 999.5) return `${WHOLE.format(ms)}${SPACE}ms`;
  if (ms < 59950) return `${FINE.format(ms / 1000)}${SPACE}s`;
  const seconds = Math.round(ms / 1000);
  const parts = [
    [Math.floor(seconds / 86400), "d"],
    [Math.floor(seconds / 3600) % 24, "h"],
    [Math.floor(seconds / 60) % 60, "min"],
    [seconds % 60, "s"],
  ];
  const first = parts.findIndex(([value]) => value > 0);
  return parts
    .slice(first, first + 2)
    .filter(([value]) => value > 0)
    .map(([value, unit]) => `${value}${SPACE}${unit}`)
    .join(" ");
}

/** Bytes -> 512 B, 12.3 kB, 4.5 GB */
export function bytes(value) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let place = 0;
  while (value >= 999.5 && place < units.length - 1) {
    value /= 1000;
    place += 1;
  }
  return `${FINE.format(value)}${SPACE}${units[place]}`;
}

/** A moment today -> 14:03:59 */
export const clock = (ms) => CLOCK.format(ms);

/** A moment of any day -> 3 Nov, 14:03:59 */
export const moment = (ms) => DAY.format(ms);

/** One thing, two things. */
export const plural = (count, one, many = `${one}s`) => `${whole(count)} ${count === 1 ? one : many}`;

/** engine_error -> engine error: stable words of the scheduler as text */
export const words = (word) => word.replaceAll("_", " ");
