import { useMemo } from 'react';
import { useDocumentTitle } from '../router/useDocumentTitle';
import { formatDayAndTime } from './format';
import { JobActions } from './JobActions';
import { JobHeader } from './JobHeader';
import { runState, STATE_NAMES, TARGET_NAMES } from './labels';
import type { Job } from './model';
import { Notices } from './Notices';
import { PageHeader } from './PageHeader';
import { type PaneContent, Panes } from './Panes';
import { Problem } from './Problem';
import { useInfo } from './queries';
import { ReplayControls } from './ReplayControls';
import { hasEnded, type JobData } from './runState';
import { StopAll } from './StopAll';
import { linesOf, upTo } from './series';
import { TotalsTable } from './TotalsTable';
import { usePlayhead } from './usePlayhead';
import { type LiveRun, useRun } from './useRun';
import { notices, sharingNote } from './verdict';
import { Workload } from './Workload';

/** One run: a pane for each of its jobs, live while it runs. */
export function RunPage({ ids }: { ids: readonly string[] }) {
  const run = useRun(ids);
  const jobs = ids.map((id) => run.data[id]?.job).filter((job): job is Job => !!job);
  const [first] = jobs;
  const title = first ? `Run of ${formatDayAndTime(first.createdAt)}` : 'Run';
  useDocumentTitle(title);
  if (run.error !== null) return <Problem error={run.error} onRetry={run.retry} />;
  return (
    <div className="lab-page">
      <PageHeader title={title} />
      {first ? (
        <RunView ids={ids} run={run} jobs={jobs} first={first} />
      ) : (
        <p role="status" className="sf-muted">
          Loading the run…
        </p>
      )}
    </div>
  );
}

interface Props {
  ids: readonly string[];
  run: LiveRun;
  jobs: readonly Job[];
  first: Job;
}

function RunView({ ids, run, jobs, first }: Props) {
  const ended = jobs.every(({ state }) => hasEnded(state));
  const playhead = usePlayhead(first.seconds);
  const { data, update } = run;
  const panes = useMemo(
    () =>
      ids.flatMap((id) => {
        const job = data[id];
        return job ? pane(id, job, playhead.position, update) : [];
      }),
    [ids, data, playhead.position, update],
  );
  const note = sharingNote(jobs);
  const known = jobs.flatMap((job) => notices(job, data[job.id]?.windows ?? []));
  return (
    <>
      <div className="run__bar">
        <Workload {...first} mode={jobs.length > 1 ? first.mode : null} info={useInfo().data} />
        <div className="run__actions">
          {!ended && <StopAll jobs={jobs} onChange={update} />}
          {ended && <ReplayControls seconds={first.seconds} playhead={playhead} />}
        </div>
      </div>
      <p className="sf-visually-hidden" role="status">
        Run: {[STATE_NAMES[runState(jobs)], ...known.map(({ title }) => title)].join('. ')}
      </p>
      {run.connection === 'interrupted' && !ended && (
        <p role="status" className="notice" data-tone="warning">
          The connection to the lab is interrupted; trying again. The run continues meanwhile.
        </p>
      )}
      {note && <p className="note">{note}</p>}
      <Notices notices={known} />
      <Panes label="Databases" seconds={first.seconds} panes={panes} live={!ended} />
    </>
  );
}

function pane(
  id: string,
  { job, windows }: JobData,
  position: number | null,
  update: (job: Job) => void,
): PaneContent[] {
  if (job === null) return [];
  const shown = upTo(windows, position);
  return [
    {
      key: id,
      title: TARGET_NAMES[job.target],
      header: <JobHeader job={job} windows={shown} />,
      footer: (
        <>
          <TotalsTable of={TARGET_NAMES[job.target]} windows={shown} />
          <JobActions job={job} onChange={update} />
        </>
      ),
      lines: linesOf(shown),
      faults: job.faults,
    },
  ];
}
