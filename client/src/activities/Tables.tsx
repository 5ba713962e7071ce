import { useState } from 'react';
import type { Table } from '../api/activities';
import { formatNumber } from '../ui/format';
import { DataTable, focusTable } from './DataTable';
import { formatDayAndTime } from './format';
import { Loaded } from './Loaded';
import { Columns } from './PlanView';
import { useTables } from './queries';
import { Rows } from './Rows';

const TABLES_ID = 'tables-table';

/** The tables that messages have made, and the rows of the one that is selected. */
export function Tables() {
  const query = useTables();
  const [selected, setSelected] = useState<string | null>(null);
  const table = query.data?.find(({ name }) => name === selected);
  return (
    <section className="panel" aria-labelledby="tables">
      <h2 id="tables">Tables</h2>
      <Loaded query={query} what="Tables">
        {(tables) =>
          tables.length === 0 ? (
            <p className="panel__empty">
              There are no tables yet. The first insert into a table creates it.
            </p>
          ) : (
            <TableList tables={tables} selected={selected} onSelect={setSelected} />
          )
        }
      </Loaded>
      <div id="rows">
        {table && <Rows key={table.name} table={table} onDropped={() => focusTable(TABLES_ID)} />}
      </div>
    </section>
  );
}

interface ListProps {
  tables: readonly Table[];
  selected: string | null;
  onSelect: (name: string | null) => void;
}

function TableList({ tables, selected, onSelect }: ListProps) {
  return (
    <DataTable
      id={TABLES_ID}
      caption="Tables"
      head={
        <>
          <th scope="col">Table</th>
          <th scope="col">Columns</th>
          <th scope="col" className="table__number">
            Rows
          </th>
          <th scope="col">Last applied</th>
        </>
      }
    >
      {tables.map((table) => (
        <TableRow
          key={table.name}
          table={table}
          open={table.name === selected}
          onToggle={(open) => onSelect(open ? table.name : null)}
        />
      ))}
    </DataTable>
  );
}

interface RowProps {
  table: Table;
  open: boolean;
  onToggle: (open: boolean) => void;
}

function TableRow({ table: { name, columns, rows, lastAppliedAt }, open, onToggle }: RowProps) {
  return (
    <tr data-selected={open || undefined}>
      <th scope="row">
        <button
          type="button"
          className="sf-link table__name"
          aria-expanded={open}
          aria-controls="rows"
          onClick={() => onToggle(!open)}
        >
          {name}
        </button>
      </th>
      <td className="table__text">
        <Columns columns={columns} />
      </td>
      <td className="table__number">{formatNumber(rows)}</td>
      <td className="table__time">
        {lastAppliedAt !== null && (
          <time dateTime={new Date(lastAppliedAt).toISOString()}>
            {formatDayAndTime(lastAppliedAt)}
          </time>
        )}
      </td>
    </tr>
  );
}
