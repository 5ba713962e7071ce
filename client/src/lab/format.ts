import { formatNumber } from '../ui/format';

const DAY_AND_TIME = new Intl.DateTimeFormat('en-GB', {
  day: 'numeric',
  month: 'short',
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
});

/** Where there is no value. */
export const NONE = '–';

export function formatDayAndTime(ms: number): string {
  return DAY_AND_TIME.format(ms);
}

/** A time in seconds, with three digits: `840 µs`, `2.14 ms`, `138 ms`, `5.00 s`. */
export function formatTime(seconds: number | null): string {
  if (seconds === null) return NONE;
  if (seconds < 0.000_999_5) return `${Math.round(seconds * 1e6)} µs`;
  if (seconds < 0.999_5) return `${threeDigits(seconds * 1_000)} ms`;
  return `${threeDigits(seconds)} s`;
}

function threeDigits(value: number): string {
  if (value >= 99.95) return formatNumber(Math.round(value));
  return value.toFixed(value >= 9.995 ? 1 : 2);
}

/** A share of 0 to 100; a share that is not zero is not shown as zero. */
export function formatPercent(percent: number | null): string {
  if (percent === null) return NONE;
  if (percent === 0) return '0 %';
  if (percent < 0.1) return '< 0.1 %';
  return percent >= 99.95 ? '100 %' : `${percent.toFixed(percent < 10 ? 1 : 0)} %`;
}

/** How many times `b` is of `a`: `2.0×`. */
export function formatRatio(a: number | null, b: number | null): string {
  if (a === null || b === null || a === 0) return NONE;
  const ratio = b / a;
  return `${ratio >= 100 ? formatNumber(Math.round(ratio)) : ratio.toFixed(ratio < 0.1 ? 2 : 1)}×`;
}

export function formatMemory(bytes: number): string {
  const gigabytes = bytes / 1024 ** 3;
  return `${gigabytes < 10 ? gigabytes.toFixed(1) : Math.round(gigabytes)} GiB`;
}
