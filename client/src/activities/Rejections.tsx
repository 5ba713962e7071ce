import type { RejectionGroup } from '../api/activities';
import { useCart } from '../cart/context';
import { formatNumber, plural } from '../ui/format';
import { useAction } from '../ui/useAction';
import { useAct, useActivitiesApi } from './context';
import { DataTable, focusTable } from './DataTable';
import { explainWrite } from './explain';
import { Loaded } from './Loaded';
import { MessageLink } from './MessageDetails';
import { Pager, usePages } from './Pager';
import { useRejections } from './queries';

const TABLE_ID = 'rejections-table';

/** The rejected messages that were not retried or discarded yet, by cause. */
export function Rejections() {
  const pages = usePages();
  const query = useRejections(pages.after);
  return (
    <section className="panel" aria-labelledby="rejections">
      <h2 id="rejections">Rejections by cause</h2>
      <Loaded query={query} what="Rejections">
        {({ entries, next }) => (
          <>
            {entries.length === 0 ? (
              <p className="panel__empty">
                No rejected message waits for a decision. Retried and discarded ones are left out.
              </p>
            ) : (
              <RejectionTable groups={entries} />
            )}
            <Pager
              name="Rejections"
              pages={pages}
              next={next}
              backLabel="Previous"
              forthLabel="Next"
            />
          </>
        )}
      </Loaded>
    </section>
  );
}

function RejectionTable({ groups }: { groups: readonly RejectionGroup[] }) {
  return (
    <DataTable
      id={TABLE_ID}
      caption="Rejections by cause"
      head={
        <>
          <th scope="col">Cause</th>
          <th scope="col" className="table__number">
            Messages
          </th>
          <th scope="col">Example</th>
          <th scope="col">Actions</th>
        </>
      }
    >
      {groups.map((group) => (
        <GroupRow key={group.cause} {...group} />
      ))}
    </DataTable>
  );
}

function GroupRow({ cause, count, example }: RejectionGroup) {
  const { run, busy } = useRetryAll(cause);
  return (
    <tr>
      <th scope="row" className="table__text">
        {cause}
      </th>
      <td className="table__number">{formatNumber(count)}</td>
      <td>
        <MessageLink id={example} />
      </td>
      <td className="table__actions">
        <button
          type="button"
          className="sf-link"
          aria-label={busy ? undefined : `Retry all: ${cause}`}
          aria-disabled={busy}
          onClick={busy ? undefined : () => run()}
        >
          {busy ? 'Retrying…' : 'Retry all'}
        </button>
      </td>
    </tr>
  );
}

/** One request retries at most 1,000, so the message says how many are left. */
function useRetryAll(cause: string) {
  const api = useActivitiesApi();
  const perform = useAct();
  const { showMessage } = useCart();
  return useAction(async () => {
    try {
      const { retried, left } = await perform((act) =>
        act.write((options) => api.retryCause(cause, options)),
      );
      const were = retried === 1 ? 'was' : 'were';
      const rest = left === 0 ? '' : ` ${formatNumber(left)} are left: retry again for the rest.`;
      showMessage({
        text: `${plural(retried, 'message')} ${were} queued again.${rest}`,
        tone: left === 0 ? 'good' : 'plain',
      });
      if (left === 0) focusTable(TABLE_ID);
    } catch (error) {
      const text = explainWrite(error, {
        notDone: 'Nothing was retried.',
        whether: 'they were retried',
        next: 'The list shows it.',
      });
      showMessage({ text, tone: 'bad' });
    }
  });
}
