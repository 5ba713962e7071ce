import { asFields, asText } from '../api/guards';
import { parseJob, parseWindow } from './model';
import type { RunEvent } from './runState';

/** After the browser gave up on a stream. It reconnects by itself after other interruptions. */
const RETRY_MS = 2_000;

export type Connection = 'open' | 'interrupted' | 'closed';

interface Listeners {
  readonly onEvent: (event: RunEvent) => void;
  readonly onConnection: (connection: Connection) => void;
  /** Asked before a new stream: whether the jobs have ended meanwhile, so that none is needed. */
  readonly haveEnded: () => Promise<boolean>;
}

/**
 * Follows jobs until all of them have ended. The browser continues behind the last event that it got
 * (`Last-Event-ID`); a new stream begins with the first event, which the reducer takes as well.
 * Returns how to stop.
 */
export function followJobs(url: string, jobs: number, listeners: Listeners): () => void {
  const ended = new Set<string>();
  let source: EventSource | null = null;
  let timer = 0;
  let stopped = false;
  const stop = () => {
    stopped = true;
    window.clearTimeout(timer);
    source?.close();
  };
  const finish = () => {
    stop();
    listeners.onConnection('closed');
  };
  const onMessage = ({ type, data }: MessageEvent<string>) => {
    const event = parseEvent(type, data);
    if (event === null) return;
    listeners.onEvent(event);
    if (event.kind === 'end') ended.add(event.id);
    if (ended.size === jobs) finish();
  };
  const open = () => {
    const opened = new EventSource(url);
    source = opened;
    for (const type of ['window', 'state', 'end']) opened.addEventListener(type, onMessage);
    opened.onopen = () => listeners.onConnection('open');
    opened.onerror = () => {
      listeners.onConnection('interrupted');
      if (opened.readyState === EventSource.CLOSED) timer = window.setTimeout(reopen, RETRY_MS);
    };
  };
  const reopen = async () => {
    const over = await listeners.haveEnded();
    if (stopped) return;
    if (over) finish();
    else open();
  };
  open();
  return stop;
}

/** Null for what this page does not understand: one bad event does not end the stream. */
function parseEvent(type: string, data: string): RunEvent | null {
  try {
    const value: unknown = JSON.parse(data);
    if (type === 'state') return { kind: 'job', job: parseJob(value) };
    const id = asText(asFields(value, type).job_id, 'job_id');
    return type === 'end'
      ? { kind: 'end', id }
      : { kind: 'window', id, window: parseWindow(value) };
  } catch (error) {
    console.error('an event of the lab is not understood', error);
    return null;
  }
}
