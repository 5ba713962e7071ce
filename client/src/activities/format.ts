import { formatNumber } from '../ui/format';

const CLOCK = new Intl.DateTimeFormat('en-GB', {
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
  fractionalSecondDigits: 3,
});
const DAY_AND_TIME = new Intl.DateTimeFormat('en-GB', {
  day: 'numeric',
  month: 'short',
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
});

/** The local time of day to the millisecond, of milliseconds since the epoch. */
export function formatClock(ms: number): string {
  return CLOCK.format(ms);
}

export function formatDayAndTime(ms: number): string {
  return DAY_AND_TIME.format(ms);
}

/** A duration in seconds with its one or two largest units: `68 ms`, `4.2 s`, `3 min 5 s`, `2 h 5 min`. */
export function formatDuration(seconds: number): string {
  if (seconds < 1) return `${Math.round(Math.max(0, seconds) * 1_000)} ms`;
  if (seconds < 60) return `${Math.floor(seconds * 10) / 10} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${Math.floor(seconds % 60)} s`;
  return `${formatNumber(Math.floor(minutes / 60))} h ${minutes % 60} min`;
}

const UNITS = ['bytes', 'KiB', 'MiB', 'GiB'];

export function formatBytes(bytes: number): string {
  if (bytes === 1) return '1 byte';
  const unit = Math.min(UNITS.length - 1, Math.floor(Math.log2(Math.max(1, bytes)) / 10));
  const value = bytes / 1024 ** unit;
  return `${unit > 0 && value < 10 ? value.toFixed(1) : formatNumber(Math.floor(value))} ${UNITS[unit]}`;
}

/** The end of an id: its beginning is the time, which messages of the same minute share. */
export function shortId(id: string): string {
  return id.length > 10 ? `…${id.slice(-8)}` : id;
}
