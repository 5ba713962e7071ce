import type { Column, Plan, PlannedChange } from '../api/activities';
import { List } from '../ui/List';
import { Sentence } from './Sentence';

/** What a message would do now. */
export function PlanView({ plan: { changes, rejection } }: { plan: Plan }) {
  return (
    <div className="plan">
      <p className={rejection ? 'plan__verdict plan__verdict--bad' : 'plan__verdict'}>
        {rejection ? 'Valid, but it would be rejected now.' : 'Valid, and it would be applied now.'}
      </p>
      {rejection && (
        <p>
          {rejection.activity !== null && `Activity ${rejection.activity}: `}
          <Sentence text={rejection.error} />
        </p>
      )}
      {!rejection && changes.length === 0 && <p>No table is created and none gets new columns.</p>}
      {changes.length > 0 && (
        <List className="plan__changes">
          {changes.map((change) => (
            <li key={change.table}>
              <Change {...change} />
            </li>
          ))}
        </List>
      )}
      <p className="sf-muted">Nothing was queued.</p>
    </div>
  );
}

function Change({ table, created, columns }: PlannedChange) {
  return (
    <>
      {created ? 'Creates the table' : 'Adds columns to the table'} <code>{table}</code>
      {created && columns.length > 0 && ' with the columns'}: <Columns columns={columns} />
    </>
  );
}

export function Columns({ columns }: { columns: readonly Column[] }) {
  return (
    <span className="columns">
      {columns.map(({ name, type }, index) => (
        <span key={name} className="columns__column">
          <code>{name}</code> <span className="columns__type">{type}</span>
          {index < columns.length - 1 && ', '}
        </span>
      ))}
    </span>
  );
}
