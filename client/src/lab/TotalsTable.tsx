import { formatNumber } from '../ui/format';
import { formatPercent } from './format';
import type { Window } from './model';
import { SIDE_NAMES, SIDES, type Totals, totals } from './totals';

const ROWS: readonly { readonly name: string; readonly value: (totals: Totals) => string }[] = [
  { name: 'Offered', value: ({ offered }) => formatNumber(offered) },
  { name: 'Succeeded', value: ({ ok }) => formatNumber(ok) },
  { name: 'Failed', value: ({ failed }) => formatNumber(failed) },
  { name: 'Not sent', value: ({ unsent }) => formatNumber(unsent) },
  { name: 'Pending', value: ({ pending }) => formatNumber(pending) },
  { name: 'Failure share', value: ({ failurePercent }) => formatPercent(failurePercent) },
];

/** Transactions of a run so far. */
export function TotalsTable({ of, windows }: { of: string; windows: readonly Window[] }) {
  const sums = SIDES.map((side) => totals(windows, side));
  return (
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
  );
}
