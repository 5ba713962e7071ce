import type { Row, Table } from '../api/activities';
import type { JsonNode } from '../api/json';
import { useCart } from '../cart/context';
import { ConfirmButton } from '../ui/ConfirmButton';
import { plural } from '../ui/format';
import { useAction } from '../ui/useAction';
import { useAct, useActivitiesApi } from './context';
import { DataTable } from './DataTable';
import { explainWrite } from './explain';
import { Loaded } from './Loaded';
import { Pager, usePages } from './Pager';
import { useRows } from './queries';

interface Props {
  table: Table;
  /** Called when the table is going to disappear. */
  onDropped: () => void;
}

/** The rows of one table, and the button that drops it. Key it by the table's name. */
export function Rows({ table, onDropped }: Props) {
  const pages = usePages();
  const query = useRows(table.name, pages.after);
  return (
    <section className="rows" aria-labelledby="rows-title">
      <header className="panel__header">
        <h3 id="rows-title">
          Rows of <code>{table.name}</code>
        </h3>
        <DropTable table={table} onDropped={onDropped} />
      </header>
      <Loaded query={query} what="Rows">
        {(page) =>
          page === null ? (
            <p className="panel__empty">The table does not exist any more.</p>
          ) : (
            <>
              {page.entries.length === 0 ? (
                <p className="panel__empty">The table has no rows here.</p>
              ) : (
                <RowTable table={table} rows={page.entries} />
              )}
              <Pager
                name="Rows"
                pages={pages}
                next={page.next}
                backLabel="Previous"
                forthLabel="Next"
              />
            </>
          )
        }
      </Loaded>
    </section>
  );
}

function RowTable({ table, rows }: { table: Table; rows: readonly Row[] }) {
  return (
    <DataTable
      caption={`Rows of ${table.name}`}
      className="table--rows"
      head={table.columns.map(({ name, type }) => (
        <th key={name} scope="col" className={isNumeric(type) ? 'table__number' : undefined}>
          {name} <span className="columns__type">{type}</span>
        </th>
      ))}
    >
      {rows.map((row, index) => (
        <tr key={index}>
          {table.columns.map(({ name, type }) => (
            <td key={name} className={isNumeric(type) ? 'table__number' : undefined}>
              <Value value={row.get(name)} />
            </td>
          ))}
        </tr>
      ))}
    </DataTable>
  );
}

/** Decimals are texts in JSON, but numbers to a reader. */
function isNumeric(type: string): boolean {
  return /^(INTEGER|FLOAT|DOUBLE|DECIMAL)\b/.test(type);
}

/** Null and the empty text are told apart, and from texts that read the same. */
function Value({ value }: { value: JsonNode | undefined }) {
  if (value === undefined || value.kind === 'null') return <span className="absent">null</span>;
  if (value.kind === 'number') return value.text;
  if (value.kind === 'boolean') return <code>{String(value.value)}</code>;
  if (value.kind !== 'string') return null;
  if (value.value === '') return <span className="absent">empty text</span>;
  return <div className="table__value">{value.value}</div>;
}

function DropTable({ table: { name, rows }, onDropped }: Props) {
  const api = useActivitiesApi();
  const perform = useAct();
  const { showMessage } = useCart();
  const { run, busy } = useAction(async () => {
    try {
      await perform((act) => act.write((options) => api.dropTable(name, options)));
      const text = `“${name}” is dropped once all messages before this are applied.`;
      showMessage({ text, tone: 'good' });
      onDropped();
    } catch (error) {
      const text = explainWrite(error, {
        notDone: `“${name}” was not dropped.`,
        whether: `“${name}” was dropped`,
        next: 'The list of tables shows it.',
      });
      showMessage({ text, tone: 'bad' });
    }
  });
  return (
    <div className="row-actions">
      <ConfirmButton
        label="Drop table"
        question={`Drop “${name}” with ${plural(rows, 'row')}?`}
        confirm="Yes, drop it"
        keep="Keep table"
        busy={busy}
        busyLabel="Dropping…"
        onConfirm={() => run()}
      />
    </div>
  );
}
