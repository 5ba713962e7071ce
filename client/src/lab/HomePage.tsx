import { useDocumentTitle } from '../router/useDocumentTitle';
import { CachedRuns } from './CachedRuns';
import { formatMemory } from './format';
import { History } from './History';
import type { LabInfo } from './model';
import { Problem } from './Problem';
import { useInfo } from './queries';
import { RunForm } from './RunForm';

/** Starts runs, and lists those that were. */
export function HomePage() {
  useDocumentTitle('Database lab');
  const { data: info, error, refetch } = useInfo();
  if (info === undefined) {
    return error ? (
      <Problem error={error} onRetry={() => void refetch()} />
    ) : (
      <p role="status" className="sf-muted">
        Loading…
      </p>
    );
  }
  return (
    <div className="lab-page">
      <header className="lab-page__header">
        <h1 className="page-title">Database lab</h1>
        <p className="sf-muted">
          The same transactions, at the same moments, against three kinds of databases side by side.{' '}
          {describeMachine(info)}
        </p>
      </header>
      <RunForm info={info} />
      <History info={info} />
      <CachedRuns info={info} />
    </div>
  );
}

function describeMachine({ machine, databases }: LabInfo): string {
  const memory = machine.memoryBytes === null ? '' : ` and ${formatMemory(machine.memoryBytes)}`;
  const here = `This machine has ${machine.cores} processor cores${memory} of memory.`;
  const shared = databases.filter(({ sharedMachine }) => sharedMachine).length;
  if (shared === 0) return here;
  return `${here} ${shared === databases.length ? 'All databases' : 'Some databases'} share it with the lab.`;
}
