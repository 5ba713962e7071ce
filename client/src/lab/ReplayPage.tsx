import { useMemo } from 'react';
import { useDocumentTitle } from '../router/useDocumentTitle';
import { formatDayAndTime } from './format';
import { DatabaseLine } from './JobHeader';
import { parseKey, TARGET_NAMES } from './labels';
import type { CachedRun, LabInfo, OneToThree, Window } from './model';
import { PageHeader } from './PageHeader';
import { type PaneContent, Panes } from './Panes';
import { Problem } from './Problem';
import { useCached, useCachedWindows, useInfo } from './queries';
import { ReplayControls } from './ReplayControls';
import { linesOf, upTo } from './series';
import { TotalsTable } from './TotalsTable';
import { usePlayhead } from './usePlayhead';
import { Workload } from './Workload';

interface Props {
  keys: readonly string[];
  /** Of reads and writes, such as `1-2`. */
  patterns: string;
}

/** Cached runs side by side. No database is needed for it. */
export function ReplayPage({ keys, patterns }: Props) {
  useDocumentTitle('Cached run');
  const cached = useCached();
  const windows = useCachedWindows(keys, patterns);
  const info = useInfo();
  const failed = [cached, windows].find(({ error, data }) => error && !data);
  if (failed) return <Problem error={failed.error} onRetry={() => void failed.refetch()} />;
  return (
    <div className="lab-page">
      <PageHeader title="Cached run" />
      {cached.data && windows.data ? (
        <Replay
          keys={keys}
          patterns={patterns}
          cached={cached.data}
          windows={windows.data}
          info={info.data}
        />
      ) : (
        <p role="status" className="sf-muted">
          Loading the cached run…
        </p>
      )}
    </div>
  );
}

interface ReplayProps extends Props {
  cached: readonly CachedRun[];
  windows: readonly (readonly Window[] | null)[];
  info: LabInfo | undefined;
}

function Replay({ keys, patterns, cached, windows, info }: ReplayProps) {
  const [readPattern, writePattern] = patterns.split('-').map(Number) as [OneToThree, OneToThree];
  const seconds = Math.max(5, ...windows.map((one) => (one?.at(-1)?.second ?? -1) + 1));
  const playhead = usePlayhead(seconds, 'playing');
  const panes = useMemo(
    () =>
      keys.map((key, index): PaneContent => {
        const run = cached.find(
          (one) =>
            one.key === key && one.readPattern === readPattern && one.writePattern === writePattern,
        );
        const recorded = windows[index] ?? null;
        return pane(key, run, recorded && upTo(recorded, playhead.position));
      }),
    [keys, cached, readPattern, writePattern, windows, playhead.position],
  );
  const intensity = parseKey(keys[0] ?? '')?.intensity ?? 1;
  const found = windows.some((one) => one !== null);
  return (
    <>
      <div className="run__bar">
        <Workload {...{ readPattern, writePattern, intensity, seconds, info }} />
        {found && <ReplayControls seconds={seconds} playhead={playhead} />}
      </div>
      {found ? (
        <>
          <p className="note">This was recorded earlier: no database is loaded now.</p>
          <Panes label="Databases" seconds={seconds} panes={panes} />
        </>
      ) : (
        <div className="notice" data-tone="warning">
          <strong>No cached run of this choice</strong>
          <p>Start the run, and keep its databases when it has finished.</p>
        </div>
      )}
    </>
  );
}

function pane(
  key: string,
  run: CachedRun | undefined,
  windows: readonly Window[] | null,
): PaneContent {
  const parts = parseKey(key);
  const title = parts ? TARGET_NAMES[parts.target] : key;
  return {
    key,
    title,
    header: (
      <>
        {run && parts && <DatabaseLine {...parts} database={run.database} />}
        {run?.recordedAt && <p className="sf-muted">Recorded {formatDayAndTime(run.recordedAt)}</p>}
        {windows === null && (
          <div className="notice" data-tone="warning">
            <strong>No cached run</strong>
            <p>Nothing was kept for {key} with these patterns.</p>
          </div>
        )}
      </>
    ),
    footer: <TotalsTable of={title} windows={windows ?? []} />,
    lines: linesOf(windows ?? []),
    faults: [],
  };
}
