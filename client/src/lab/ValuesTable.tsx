import type { ChartLine } from './ChartFigure';
import type { Measure } from './measures';
import { ScrollTable } from './ScrollTable';

interface Props {
  caption: string;
  measure: Measure;
  lines: readonly ChartLine[];
}

/** The values of a chart, second by second. */
export function ValuesTable({ caption, measure, lines }: Props) {
  const seconds = [
    ...new Set(lines.flatMap(({ windows }) => windows.map(({ second }) => second))),
  ].toSorted((a, b) => a - b);
  if (seconds.length === 0) return <p className="sf-muted">No second has been measured yet.</p>;
  return (
    <ScrollTable
      caption={caption}
      head={
        <>
          <th scope="col">Second</th>
          {lines.map(({ label }) => (
            <th key={label} scope="col" className="table__number">
              {label}
            </th>
          ))}
        </>
      }
    >
      {seconds.map((second) => (
        <tr key={second}>
          <th scope="row">
            {second}
            {isProvisional(lines, second) && <span className="sf-muted"> provisional</span>}
          </th>
          {lines.map(({ label, side, windows }) => {
            const window = windows.find((one) => one.second === second);
            return (
              <td key={label} className="table__number">
                {measure.format(window === undefined ? null : measure.value(window[side]))}
              </td>
            );
          })}
        </tr>
      ))}
    </ScrollTable>
  );
}

function isProvisional(lines: readonly ChartLine[], second: number): boolean {
  return lines.some(({ windows }) => windows.some((one) => one.second === second && !one.final));
}
