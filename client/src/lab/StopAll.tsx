import { ErrorBox } from '../ui/ErrorBox';
import { useAction } from '../ui/useAction';
import { useLabApi } from './context';
import { explain } from './explain';
import type { Job } from './model';
import { hasEnded } from './runState';

/** Stops every job of a run that has not ended. */
export function StopAll({
  jobs,
  onChange,
}: {
  jobs: readonly Job[];
  onChange: (job: Job) => void;
}) {
  const api = useLabApi();
  const { run, busy, error } = useAction(async () => {
    const going = jobs.filter(({ state }) => !hasEnded(state));
    for (const job of await Promise.all(going.map(({ id }) => api.stop(id)))) onChange(job);
  });
  return (
    <>
      <button
        type="button"
        className="sf-button sf-button--secondary"
        aria-disabled={busy}
        onClick={busy ? undefined : () => run()}
      >
        {busy ? 'Stopping…' : 'Stop the run'}
      </button>
      <ErrorBox>{error ? <p>{explain(error)}</p> : null}</ErrorBox>
    </>
  );
}
