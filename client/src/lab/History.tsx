import { useState } from 'react';
import { Link } from '../router/Link';
import { explain } from './explain';
import { formatDayAndTime } from './format';
import { runState, sizeName, TARGET_NAMES } from './labels';
import type { LabInfo } from './model';
import { PatternPicture } from './PatternPicture';
import { compareHref, runHref } from './path';
import { describeRates, highestRate } from './patterns';
import { useJobs } from './queries';
import { groupRuns, idsOf, type Run } from './runs';
import { ScrollTable } from './ScrollTable';
import { StateBadge } from './StateBadge';

/** Runs, newest first, of which two can be compared. */
export function History({ info }: { info: LabInfo }) {
  const { data: jobs, error } = useJobs();
  const [chosen, setChosen] = useState<readonly string[]>([]);
  const runs = groupRuns(jobs ?? []);
  // The first choice makes room for a third.
  const toggle = (id: string) =>
    setChosen((before) =>
      before.includes(id) ? before.filter((one) => one !== id) : [...before, id].slice(-2),
    );
  const [a, b] = chosen.map((id) => runs.find((run) => run.id === id));
  return (
    <section className="panel" aria-labelledby="history">
      <div className="panel__header">
        <h2 id="history">History</h2>
        <Compare a={a} b={b} />
      </div>
      {error && <p role="alert">The history could not be loaded. {explain(error)}</p>}
      {jobs && runs.length === 0 && <p className="sf-muted">There are no runs yet.</p>}
      {runs.length > 0 && (
        <ScrollTable
          caption="Runs"
          head={
            <>
              <th scope="col">Compare</th>
              <th scope="col">Started</th>
              <th scope="col">Reads</th>
              <th scope="col">Writes</th>
              <th scope="col" className="table__number">
                Workers
              </th>
              <th scope="col">Databases</th>
              <th scope="col">State</th>
            </>
          }
        >
          {runs.map((run) => (
            <Row
              key={run.id}
              run={run}
              info={info}
              letter={chosen.includes(run.id) ? (['A', 'B'][chosen.indexOf(run.id)] ?? '') : ''}
              onToggle={() => toggle(run.id)}
            />
          ))}
        </ScrollTable>
      )}
    </section>
  );
}

function Compare({ a, b }: { a: Run | undefined; b: Run | undefined }) {
  if (a && b) {
    return (
      <Link className="sf-button sf-button--small" href={compareHref(idsOf(a), idsOf(b))}>
        Compare A with B
      </Link>
    );
  }
  return <p className="sf-muted">Choose two runs to compare them.</p>;
}

interface RowProps {
  run: Run;
  info: LabInfo;
  letter: string;
  onToggle: () => void;
}

function Row({ run, info, letter, onToggle }: RowProps) {
  const [first] = run.jobs;
  if (first === undefined) return null;
  const started = formatDayAndTime(run.createdAt);
  return (
    <tr data-selected={letter !== '' || undefined}>
      <td>
        <label className="check">
          <input
            type="checkbox"
            checked={letter !== ''}
            onChange={onToggle}
            aria-label={`Compare the run of ${started}`}
          />
          <span className="history__letter">{letter}</span>
        </label>
      </td>
      <th scope="row">
        <Link className="sf-link" href={runHref(idsOf(run))}>
          {started}
        </Link>
      </th>
      <td>
        <PatternCell info={info} number={first.readPattern} />
      </td>
      <td>
        <PatternCell info={info} number={first.writePattern} />
      </td>
      <td className="table__number">{first.intensity}</td>
      <td>
        {run.jobs.map(({ id, target, size, database }) => (
          <span key={id} className="history__database">
            {TARGET_NAMES[target]}, {sizeName(target, size).toLowerCase()}
            {database.standIn && <span className="tag">Stand-in</span>}
          </span>
        ))}
      </td>
      <td>
        <StateBadge state={runState(run.jobs)} />
        {run.jobs.some(({ valid, state }) => !valid && state === 'finished') && (
          <span className="tag" data-tone="warning">
            Not valid
          </span>
        )}
      </td>
    </tr>
  );
}

export function PatternCell({ info, number }: { info: LabInfo; number: 1 | 2 | 3 }) {
  const rates = info.patterns[number];
  return (
    <>
      <PatternPicture rates={rates} highest={highestRate(info)} />
      <span className="sf-visually-hidden">{describeRates(rates)} a second</span>
    </>
  );
}
