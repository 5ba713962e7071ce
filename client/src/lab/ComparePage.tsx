import { useMemo } from 'react';
import { Link } from '../router/Link';
import { useDocumentTitle } from '../router/useDocumentTitle';
import { CompareTable } from './CompareTable';
import { formatDayAndTime } from './format';
import { DatabaseLine, Faults } from './JobHeader';
import { TARGET_NAMES } from './labels';
import { type Job, type LabInfo, TARGETS, type Target } from './model';
import { Notices, NoticeTags } from './Notices';
import { PageHeader } from './PageHeader';
import { type PaneContent, Panes } from './Panes';
import { Problem } from './Problem';
import { runHref } from './path';
import { useInfo } from './queries';
import type { JobData, RunData } from './runState';
import { linesOfTwo } from './series';
import { useRun } from './useRun';
import { notices } from './verdict';
import { Workload } from './Workload';

interface Props {
  a: readonly string[];
  b: readonly string[];
}

/** Two runs in the same charts: one with solid, the other with dashed lines. */
export function ComparePage({ a, b }: Props) {
  useDocumentTitle('Comparison');
  const [runA, runB] = [useRun(a), useRun(b)];
  const info = useInfo().data;
  const panes = useMemo(
    () =>
      TARGETS.flatMap((target) => pane(target, find(runA.data, target), find(runB.data, target))),
    [runA.data, runB.data],
  );
  const failed = [runA, runB].find(({ error }) => error !== null);
  if (failed) return <Problem error={failed.error} onRetry={failed.retry} />;
  const jobs = [jobsOf(runA.data), jobsOf(runB.data)];
  const seconds = Math.max(5, ...jobs.flat().map((job) => job.seconds));
  return (
    <div className="lab-page">
      <PageHeader title="Comparison" />
      <div className="compare__runs">
        <RunSummary letter="A" line="solid lines" ids={a} jobs={jobs[0] ?? []} info={info} />
        <RunSummary letter="B" line="dashed lines" ids={b} jobs={jobs[1] ?? []} info={info} />
      </div>
      <RunNotices letter="A" data={runA.data} />
      <RunNotices letter="B" data={runB.data} />
      <Panes label="Databases" seconds={seconds} panes={panes} />
    </div>
  );
}

function jobsOf(data: RunData): readonly Job[] {
  return Object.values(data).flatMap(({ job }) => job ?? []);
}

function find(data: RunData, target: Target): JobData | null {
  return Object.values(data).find(({ job }) => job?.target === target) ?? null;
}

function RunNotices({ letter, data }: { letter: string; data: RunData }) {
  return Object.values(data).map(
    ({ job, windows }) =>
      job && <Notices key={job.id} letter={letter} notices={notices(job, windows)} />,
  );
}

interface SummaryProps {
  letter: string;
  line: string;
  ids: readonly string[];
  jobs: readonly Job[];
  info: LabInfo | undefined;
}

function RunSummary({ letter, line, ids, jobs, info }: SummaryProps) {
  const [first] = jobs;
  return (
    <section className="panel" aria-labelledby={`run-${letter}`}>
      <div className="panel__header">
        <h2 id={`run-${letter}`}>
          {letter} <span className="sf-muted">({line})</span>
        </h2>
        {first && (
          <Link className="sf-link" href={runHref(ids)}>
            Run of {formatDayAndTime(first.createdAt)}
          </Link>
        )}
      </div>
      {first && <Workload {...first} info={info} />}
    </section>
  );
}

function pane(target: Target, a: JobData | null, b: JobData | null): PaneContent[] {
  if (a === null && b === null) return [];
  const title = TARGET_NAMES[target];
  const faults = [...(a?.job?.faults ?? []), ...(b?.job?.faults ?? [])];
  return [
    {
      key: target,
      title,
      header: (
        <>
          <Half letter="A" data={a} />
          <Half letter="B" data={b} />
        </>
      ),
      footer: <CompareTable of={title} a={a?.windows ?? null} b={b?.windows ?? null} />,
      lines: linesOfTwo(a?.windows ?? null, b?.windows ?? null),
      faults,
    },
  ];
}

/** What is said of one run's database. */
function Half({ letter, data }: { letter: string; data: JobData | null }) {
  const job = data?.job;
  return (
    <div className="compare__half">
      <span className="history__letter">{letter}</span>
      <div>
        {job ? (
          <>
            <DatabaseLine {...job} />
            <Faults faults={job.faults} />
            <p className="tags">
              <NoticeTags notices={notices(job, data.windows)} />
            </p>
          </>
        ) : (
          <p className="sf-muted">This run had no such database.</p>
        )}
      </div>
    </div>
  );
}
