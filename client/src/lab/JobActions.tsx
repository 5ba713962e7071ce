import { ErrorBox } from '../ui/ErrorBox';
import { useAction } from '../ui/useAction';
import { useLabApi } from './context';
import { explain } from './explain';
import { TARGET_NAMES } from './labels';
import type { Job } from './model';
import { hasEnded } from './runState';

interface Props {
  job: Job;
  onChange: (job: Job) => void;
}

/** Stops a job while it runs; afterwards its files, and keeping it as a cached run. */
export function JobActions({ job, onChange }: Props) {
  const api = useLabApi();
  const stop = useAction(async () => onChange(await api.stop(job.id)));
  const keep = useAction(async () => onChange(await api.keep(job.id)));
  const ended = hasEnded(job.state);
  const name = TARGET_NAMES[job.target];
  const error = stop.error ?? keep.error;
  return (
    <div className="pane__actions">
      {!ended && (
        <Action
          label={stop.busy ? 'Stopping…' : 'Stop'}
          of={name}
          busy={stop.busy}
          run={stop.run}
        />
      )}
      {job.cachedAs !== null && <p className="kept">Kept as cached run {job.cachedAs}</p>}
      {job.cachedAs === null && job.state === 'finished' && job.valid && (
        <Action
          label={keep.busy ? 'Keeping…' : 'Keep as cached run'}
          of={name}
          busy={keep.busy}
          run={keep.run}
        />
      )}
      {ended && (
        <p className="files">
          <a className="sf-link" href={api.fileUrl(job.id, 'report')} download>
            Report<span className="sf-visually-hidden"> of {name}</span>
          </a>
          <a className="sf-link" href={api.fileUrl(job.id, 'export.csv')} download>
            CSV<span className="sf-visually-hidden"> of {name}</span>
          </a>
          <a className="sf-link" href={api.fileUrl(job.id, 'export.json')} download>
            JSON<span className="sf-visually-hidden"> of {name}</span>
          </a>
        </p>
      )}
      <ErrorBox>{error ? <p>{explain(error)}</p> : null}</ErrorBox>
    </div>
  );
}

interface ActionProps {
  label: string;
  of: string;
  busy: boolean;
  run: () => void;
}

function Action({ label, of, busy, run }: ActionProps) {
  return (
    // Not `disabled` while busy, because a disabled button loses the keyboard focus.
    <button
      type="button"
      className="sf-button sf-button--secondary sf-button--small"
      aria-disabled={busy}
      onClick={busy ? undefined : () => run()}
    >
      {label}
      <span className="sf-visually-hidden"> {of}</span>
    </button>
  );
}
