import { formatPercent, formatRatio, formatTime } from './format';
import type { Window } from './model';
import { SIDE_NAMES, SIDES, type Totals, totals } from './totals';

const ROWS: readonly {
  readonly name: string;
  readonly value: (totals: Totals) => number | null;
  readonly format: (value: number | null) => string;
  /** How many times a share is of another says little. */
  readonly hasRatio: boolean;
}[] = [
  { name: 'mean', value: ({ mean }) => mean, format: formatTime, hasRatio: true },
  {
    name: 'highest p99',
    value: ({ highestP99 }) => highestP99,
    format: formatTime,
    hasRatio: true,
  },
  {
    name: 'failure share',
    value: ({ failurePercent }) => failurePercent,
    format: formatPercent,
    hasRatio: false,
  },
];

interface Props {
  of: string;
  a: readonly Window[] | null;
  b: readonly Window[] | null;
}

/** The sums of two runs, and how many times B is of A. */
export function CompareTable({ of, a, b }: Props) {
  return (
    <table className="totals">
      <caption>
        Whole runs<span className="sf-visually-hidden">, {of}</span>
      </caption>
      <thead>
        <tr>
          <td />
          <th scope="col">A</th>
          <th scope="col">B</th>
          <th scope="col">B / A</th>
        </tr>
      </thead>
      <tbody>
        {SIDES.flatMap((side) =>
          ROWS.map(({ name, value, format, hasRatio }) => {
            const [before, after] = [a, b].map((windows) => value(totals(windows ?? [], side)));
            return (
              <tr key={`${side} ${name}`}>
                <th scope="row">
                  {SIDE_NAMES[side]}, {name}
                </th>
                <td>{format(before ?? null)}</td>
                <td>{format(after ?? null)}</td>
                <td>{hasRatio ? formatRatio(before ?? null, after ?? null) : ''}</td>
              </tr>
            );
          }),
        )}
      </tbody>
    </table>
  );
}
