import type { FaultAction, Mode, OneToThree, Target } from './model';

/** What the visitor has chosen for the next run. */
export interface RunForm {
  readonly readPattern: OneToThree;
  readonly writePattern: OneToThree;
  readonly intensity: OneToThree;
  readonly sizes: Readonly<Record<Target, OneToThree>>;
  /** As typed. */
  readonly seconds: string;
  readonly mode: Mode;
  readonly fault: FaultForm | null;
}

export interface FaultForm {
  readonly target: string;
  readonly action: FaultAction;
  readonly at: string;
  readonly seconds: string;
}

export const FAULT_TARGETS = [
  'sql',
  'sqlrep',
  'sqlrep-replica',
  'spanner-1',
  'spanner-2',
  'spanner-3',
] as const;

export const MIN_SECONDS = 5;
export const MAX_SECONDS = 600;

export function newForm(seconds: number): RunForm {
  return {
    readPattern: 1,
    writePattern: 1,
    intensity: 1,
    sizes: { sql: 1, sqlrep: 1, spanner: 1 },
    seconds: String(seconds),
    mode: 'together',
    fault: null,
  };
}

export const NEW_FAULT: FaultForm = { target: 'sql', action: 'pause', at: '10', seconds: '3' };

/** What must be changed before the run can start; null if nothing. */
export function formProblem({ seconds, fault }: RunForm): string | null {
  const length = wholeNumber(seconds);
  if (length === null || length < MIN_SECONDS || length > MAX_SECONDS) {
    return `Seconds must be a whole number of ${MIN_SECONDS} to ${MAX_SECONDS}.`;
  }
  if (fault === null) return null;
  const at = wholeNumber(fault.at);
  if (at === null || at >= length) {
    return `The fault must begin in a second of 0 to ${length - 1}.`;
  }
  const lasts = wholeNumber(fault.seconds);
  return lasts === null || lasts === 0 ? 'The fault must last a whole number of seconds.' : null;
}

/** The body of `POST /run`. */
export function runBody(form: RunForm): object {
  const { fault, seconds, mode } = form;
  const faults = fault && [{ ...fault, at: Number(fault.at), seconds: Number(fault.seconds) }];
  return { ...choice(form), seconds: Number(seconds), mode, ...(faults ? { faults } : {}) };
}

/** The body of `POST /fail`, which has its own database and intensity. */
export function failBody({ readPattern, writePattern }: RunForm): object {
  return { read_pattern: readPattern, write_pattern: writePattern };
}

/** The body of `POST /cached`. */
export function cachedBody(form: RunForm): object {
  return { mode: 'run', ...choice(form) };
}

function choice({ readPattern, writePattern, intensity, sizes }: RunForm) {
  return {
    read_pattern: readPattern,
    write_pattern: writePattern,
    intensity,
    sql_size: sizes.sql,
    sql_rep_size: sizes.sqlrep,
    spanner_size: sizes.spanner,
  };
}

function wholeNumber(text: string): number | null {
  return /^\d{1,4}$/.test(text.trim()) ? Number(text) : null;
}
