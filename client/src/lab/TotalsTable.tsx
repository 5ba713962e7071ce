import { formatNumber } from '../ui/format';
import { formatPercent, formatTime } from './format';
import type { Window } from './model';
import { highest, SIDE_NAMES, SIDES, type Totals, totals } from './totals';
import { describeCauses } from './verdict';

const ROWS: readonly { readonly name: string; readonly value: (totals: Totals) => string }[] = [
  { name: 'Offered', value: ({ offered }) => formatNumber(offered) },
  { name: 'Succeeded', value: ({ ok }) => formatNumber(ok) },
  { name: 'Failed', value: ({ failed }) => formatNumber(failed) },
  { name: 'Not sent', value: ({ unsent }) => formatNumber(unsent) },
  { name: 'Pending', value: ({ pending }) => formatNumber(pending) },
  { name: 'Failure share', value: ({ failurePercent }) => formatPercent(failurePercent) },
];

/** Transactions of a run so far, why some failed, and what the load generator took. */
export function TotalsTable({ of, windows }: { of: string; windows: readonly Window[] }) {
  const sums = SIDES.map((side) => totals(windows, side));
  return (
    <>
      <table className="totals">
        <caption>
          Transactions<span className="sf-visually-hidden">, {of}</span>
        </caption>
        <thead>
          <tr>
            <td />
            {SIDES.map((side) => (
              <th key={side} scope="col">
                {SIDE_NAMES[side]}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {ROWS.map(({ name, value }) => (
            <tr key={name}>
              <th scope="row">{name}</th>
              {SIDES.map((side, index) => (
                <td key={side}>{value(sums[index] ?? totals([], side))}</td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
      <Causes windows={windows} />
      <Driver windows={windows} />
    </>
  );
}

/** Every failure by its cause, however few there are. */
function Causes({ windows }: { windows: readonly Window[] }) {
  const texts = SIDES.flatMap((side) => {
    const causes = describeCauses(totals(windows, side).errors);
    return causes === '' ? [] : [`${SIDE_NAMES[side]}: ${causes}.`];
  });
  return texts.length === 0 ? null : <p className="note">Failures by cause. {texts.join(' ')}</p>;
}

/** The load generator's own cost, on the same processors where the machine is shared. */
function Driver({ windows }: { windows: readonly Window[] }) {
  const lag = highest(windows.map(({ driverLag }) => driverLag));
  const cpu = highest(windows.map(({ driverCpu }) => driverCpu));
  if (lag === null || cpu === null) return null;
  return (
    <p className="note">
      The load generator sent up to {formatTime(lag)} late (p99 of a second) and used up to{' '}
      {formatPercent(100 * cpu)} of one processor.
    </p>
  );
}
