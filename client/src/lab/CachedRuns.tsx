import { Link } from '../router/Link';
import { formatDayAndTime, NONE } from './format';
import { PatternCell } from './History';
import { parseKey, sizeName, TARGET_NAMES } from './labels';
import type { CachedRun, LabInfo } from './model';
import { replayHref } from './path';
import { useCached } from './queries';
import { ScrollTable } from './ScrollTable';

/** Runs that were kept, to be shown again without a database. */
export function CachedRuns({ info }: { info: LabInfo }) {
  const { data: runs = [] } = useCached();
  return (
    <section className="panel" aria-labelledby="cached">
      <h2 id="cached">Cached runs</h2>
      {runs.length === 0 ? (
        <p className="sf-muted">
          None yet. Open a finished run and keep its databases, so that it can be replayed without
          them.
        </p>
      ) : (
        <ScrollTable
          caption="Cached runs"
          head={
            <>
              <th scope="col">Database</th>
              <th scope="col">Reads</th>
              <th scope="col">Writes</th>
              <th scope="col" className="table__number">
                Workers
              </th>
              <th scope="col">Measured on</th>
              <th scope="col">Recorded</th>
            </>
          }
        >
          {runs.map((run) => (
            <Row key={`${run.key} ${run.readPattern}-${run.writePattern}`} run={run} info={info} />
          ))}
        </ScrollTable>
      )}
    </section>
  );
}

function Row({ run, info }: { run: CachedRun; info: LabInfo }) {
  const { key, readPattern, writePattern, database, recordedAt } = run;
  const parts = parseKey(key);
  const name = parts
    ? `${TARGET_NAMES[parts.target]}, ${sizeName(parts.target, parts.size).toLowerCase()}`
    : key;
  return (
    <tr>
      <th scope="row">
        <Link className="sf-link" href={replayHref([key], `${readPattern}-${writePattern}`)}>
          {name}
        </Link>
      </th>
      <td>
        <PatternCell info={info} number={readPattern} />
      </td>
      <td>
        <PatternCell info={info} number={writePattern} />
      </td>
      <td className="table__number">{parts?.intensity ?? NONE}</td>
      <td>
        {database.name}
        {database.standIn && <span className="tag">Stand-in</span>}
      </td>
      <td className="table__time">{recordedAt === null ? NONE : formatDayAndTime(recordedAt)}</td>
    </tr>
  );
}
