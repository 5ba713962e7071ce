import { useId, useState } from 'react';
import { LineKey } from './LineKey';
import { linearTicks, logTicks, type Measure, type Range, type TimeScale } from './measures';
import type { Fault, Window } from './model';
import { Plot } from './Plot';
import { type SideName, totals } from './totals';
import { ValuesTable } from './ValuesTable';

/** A line of a chart: reads or writes of a run. */
export interface ChartLine {
  readonly label: string;
  readonly side: SideName;
  /** Of the second run of a comparison. */
  readonly dashed: boolean;
  readonly windows: readonly Window[];
}

/** What all charts of a view share. */
export interface ChartFrame {
  readonly seconds: number;
  readonly scale: TimeScale;
  /** The second under the pointer, in all charts. */
  readonly hovered: number | null;
  readonly onHover: (second: number | null) => void;
}

interface Props {
  measure: Measure;
  /** The database, to tell the charts of one measure apart. */
  of: string;
  lines: readonly ChartLine[];
  range: Range;
  faults: readonly Fault[];
  frame: ChartFrame;
}

/** A chart with its legend, its numbers and the table behind it. */
export function ChartFigure({ measure, of, lines, range, faults, frame }: Props) {
  const ids = useId();
  const { seconds, scale, hovered, onHover } = frame;
  const series = lines.map(({ side, dashed, windows }) => ({
    side,
    dashed,
    values: valuesBySecond(windows, seconds, (window) => measure.value(window[side])),
  }));
  return (
    <section className="chart" data-measure={measure.id} aria-labelledby={`${ids}-title`}>
      <div className="chart__head">
        <h3 id={`${ids}-title`}>
          {measure.title}
          <span className="sf-visually-hidden">, {of}</span>
        </h3>
        <Numbers measure={measure} lines={lines} hovered={hovered} />
      </div>
      <Plot
        seconds={seconds}
        range={range}
        scale={measure.isTime ? scale : 'linear'}
        height={measure.isTime ? 150 : 110}
        series={series}
        faults={faults}
        ticks={
          measure.isTime && scale === 'log' ? logTicks(range) : linearTicks(range, measure.isTime)
        }
        formatTick={measure.isTime ? tickTime : tickPercent}
        onHover={onHover}
      />
      <TableBehind measure={measure} of={of} lines={lines} />
    </section>
  );
}

function valuesBySecond(
  windows: readonly Window[],
  seconds: number,
  value: (window: Window) => number | null,
): (number | null)[] {
  const values: (number | null)[] = Array.from({ length: seconds }, () => null);
  for (const window of windows) if (window.second < seconds) values[window.second] = value(window);
  return values;
}

/** The legend, with the last value and that of the whole run. */
function Numbers({
  measure,
  lines,
  hovered,
}: {
  measure: Measure;
  lines: readonly ChartLine[];
  hovered: number | null;
}) {
  const at = ({ windows, side }: ChartLine) => {
    const window =
      hovered === null ? windows.at(-1) : windows.find(({ second }) => second === hovered);
    return measure.format(window === undefined ? null : measure.value(window[side]));
  };
  return (
    <table className="numbers">
      <thead>
        <tr>
          <th scope="col">
            <span className="sf-visually-hidden">Line</span>
          </th>
          <th scope="col">{hovered === null ? 'last second' : `second ${hovered}`}</th>
          <th scope="col">{measure.id === 'p99' ? 'highest' : 'whole run'}</th>
        </tr>
      </thead>
      <tbody>
        {lines.map((line) => (
          <tr key={line.label}>
            <th scope="row">
              <LineKey side={line.side} dashed={line.dashed} /> {line.label}
            </th>
            <td>{at(line)}</td>
            <td>{measure.format(overall(measure, line))}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function overall({ id }: Measure, { windows, side }: ChartLine): number | null {
  const { mean, highestP99, failurePercent } = totals(windows, side);
  return { mean, p99: highestP99, failures: failurePercent }[id];
}

/** Made only while it is open: nine tables of thirty rows would change each second. */
function TableBehind({
  measure,
  of,
  lines,
}: {
  measure: Measure;
  of: string;
  lines: readonly ChartLine[];
}) {
  const [open, setOpen] = useState(false);
  return (
    <details className="chart__table" onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>
        Show as a table
        <span className="sf-visually-hidden">
          : {measure.title}, {of}
        </span>
      </summary>
      {open && <ValuesTable caption={`${measure.title}, ${of}`} measure={measure} lines={lines} />}
    </details>
  );
}

function tickTime(seconds: number): string {
  if (seconds === 0) return '0';
  if (seconds < 0.001) return `${trim(seconds * 1e6)} µs`;
  return seconds < 1 ? `${trim(seconds * 1_000)} ms` : `${trim(seconds)} s`;
}

function tickPercent(percent: number): string {
  return `${trim(percent)} %`;
}

function trim(value: number): string {
  return String(Number(value.toPrecision(4)));
}
