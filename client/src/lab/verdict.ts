import { formatNumber } from '../ui/format';
import { formatPercent, formatTime } from './format';
import { TARGET_NAMES } from './labels';
import type { Job, Window } from './model';
import { hasEnded } from './runState';
import { highest, SIDE_NAMES, SIDES, totals } from './totals';

export interface Notice {
  readonly tone: 'bad' | 'warning';
  /** A word for it in the pane of the job; null where its state says it. */
  readonly tag: string | null;
  readonly title: string;
  readonly text: string;
}

/** From this share on (0 to 100) a database is said not to have kept up. */
const NOT_KEPT_UP_PERCENT = 1;

/** What must be known of a job before its charts are read. */
export function notices(job: Job, windows: readonly Window[]): readonly Notice[] {
  return [...failure(job), ...invalid(job, windows), ...overload(job, windows)];
}

function failure({ state, target, why }: Job): Notice[] {
  if (state !== 'failed') return [];
  const text = why ?? 'The lab does not say why.';
  return [{ tone: 'bad', tag: null, title: `${TARGET_NAMES[target]} failed`, text }];
}

function invalid(job: Job, windows: readonly Window[]): Notice[] {
  if (job.valid || job.state === 'failed') return [];
  if (job.why === null && !hasEnded(job.state)) return [];
  const lag = highest(windows.map(({ driverLag }) => driverLag));
  const late = `The load generator itself was up to ${formatTime(lag)} late.`;
  const why = job.why ?? (lag === null ? '' : late);
  const title = `${TARGET_NAMES[job.target]}: not a valid measurement`;
  return [
    { tone: 'warning', tag: 'Not valid', title, text: `${why} Do not use these numbers.`.trim() },
  ];
}

/** Names the shares and the causes of what failed or was not sent. */
function overload(job: Job, windows: readonly Window[]): Notice[] {
  const parts = SIDES.flatMap((side) => {
    const { failurePercent, unsent, errors } = totals(windows, side);
    if (failurePercent === null || failurePercent < NOT_KEPT_UP_PERCENT) return [];
    const causes = [describeCauses(errors), unsent > 0 ? `${formatNumber(unsent)} not sent` : ''];
    const why = causes.filter((text) => text !== '').join(', ');
    return [
      `${SIDE_NAMES[side]}: ${formatPercent(failurePercent)} failed or were not sent${why && ` (${why})`}.`,
    ];
  });
  if (parts.length === 0) return [];
  const title = `${TARGET_NAMES[job.target]} did not keep up`;
  return [{ tone: 'bad', tag: 'Did not keep up', title, text: parts.join(' ') }];
}

/** Failures by their causes: `30 timeout, 2 sold out`. */
export function describeCauses(errors: Readonly<Record<string, number>>): string {
  return Object.entries(errors)
    .map(([kind, count]) => `${formatNumber(count)} ${kind.replaceAll('_', ' ')}`)
    .join(', ');
}

/** That databases share a machine, where they do; null where they do not. */
export function sharingNote(jobs: readonly Job[]): string | null {
  const shared = jobs.filter(({ database }) => database.sharedMachine);
  if (shared.length === 0) return null;
  const [first] = shared;
  const who =
    shared.length === 1 && first
      ? `${TARGET_NAMES[first.target]} runs on the machine of the lab.`
      : `${shared.length === jobs.length ? 'All of these' : `${shared.length} of these`} databases share one machine, that of the lab.`;
  if (first?.mode === 'in_turns') {
    return `${who} They were loaded in turns, so that none takes the machine from another.`;
  }
  return shared.length === 1
    ? `${who} The load generator uses the same processors.`
    : `${who} Loaded together they take its processors from each other: choose “In turns” to compare them.`;
}
