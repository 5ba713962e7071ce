import { useEffect, useRef } from 'react';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import type { Range, TimeScale } from './measures';
import type { Fault } from './model';
import { type ChartColours, useChartColours } from './theme';
import type { SideName } from './totals';

export interface PlotSeries {
  readonly side: SideName;
  readonly dashed: boolean;
  /** One value for each second; null where there is none. */
  readonly values: readonly (number | null)[];
}

interface Props {
  seconds: number;
  range: Range;
  scale: TimeScale;
  height: number;
  series: readonly PlotSeries[];
  faults: readonly Fault[];
  /** The values that the y axis names. */
  ticks: readonly number[];
  formatTick: (value: number) => string;
  /** The pointer is over this second; null: over none. */
  onHover: (second: number | null) => void;
}

/** What a drawn chart reads at each drawing, so that it is made anew only for another look. */
type Current = Pick<Props, 'seconds' | 'range' | 'faults' | 'ticks' | 'formatTick' | 'onHover'>;

/** Lines on a canvas. Everything on it also stands in text beside it and in the table behind it. */
export function Plot({ series, scale, height, ...current }: Props) {
  const container = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot>(null);
  const colours = useChartColours();
  const latest = useRef<Current>(current);
  latest.current = current;
  const data = toData(current.seconds, series);
  const newest = useRef(data);
  newest.current = data;
  const look = series.map(({ side, dashed }) => `${side}${dashed ? ' dashed' : ''}`).join();

  useEffect(() => {
    const element = container.current;
    if (element === null) return;
    const lines = look.split(',').map((name) => line(name, colours));
    const options = plotOptions({ scale, height, lines, colours, latest });
    const width = () => Math.max(1, Math.floor(element.clientWidth));
    const made = new uPlot({ ...options, width: width() }, newest.current, element);
    plot.current = made;
    const resized = new ResizeObserver(() => {
      if (width() !== made.width) made.setSize({ width: width(), height });
    });
    resized.observe(element);
    return () => {
      resized.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, [scale, height, look, colours]);

  // The range, the faults and the values are read from the refs above.
  const drawn = JSON.stringify([data, current.range, current.faults]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: draws again when what is drawn changes
  useEffect(() => plot.current?.setData(newest.current), [drawn]);

  return <div ref={container} className="plot" style={{ blockSize: height }} aria-hidden="true" />;
}

/** A second's values stand in its middle. */
function toData(seconds: number, series: readonly PlotSeries[]): uPlot.AlignedData {
  const xs = Array.from({ length: seconds }, (_, second) => second + 0.5);
  return [xs, ...series.map(({ values }) => xs.map((_, second) => values[second] ?? null))];
}

function line(name: string, colours: ChartColours): uPlot.Series {
  const colour = name.startsWith('read') ? colours.read : colours.write;
  const dashed = name.endsWith('dashed');
  return {
    stroke: colour,
    // Where both lines are at the same value, the wider one is seen behind the other.
    width: name.startsWith('read') ? 2.75 : 1.75,
    spanGaps: false,
    ...(dashed ? { dash: [5, 4] } : {}),
    points: { size: 5, fill: dashed ? colours.surface : colour, stroke: colour, width: 1.5 },
  };
}

interface Look {
  readonly scale: TimeScale;
  readonly height: number;
  readonly lines: readonly uPlot.Series[];
  readonly colours: ChartColours;
  readonly latest: { readonly current: Current };
}

const FONT = '12px system-ui, "Liberation Sans", sans-serif';

function plotOptions({
  scale,
  height,
  lines,
  colours,
  latest,
}: Look): Omit<uPlot.Options, 'width'> {
  const axis = { stroke: colours.text, font: FONT, ticks: { show: false } };
  const grid = { stroke: colours.grid, width: 1 };
  return {
    height,
    padding: [10, 14, 0, 0],
    legend: { show: false },
    cursor: {
      y: false,
      drag: { x: false, y: false, setScale: false },
      sync: { key: 'lab', scales: ['x', null] },
      points: { size: 8 },
    },
    scales: {
      x: { time: false, range: () => [0, latest.current.seconds] },
      y: { distr: scale === 'log' ? 3 : 1, range: () => [...latest.current.range] },
    },
    axes: [
      { ...axis, size: 24, gap: 4, space: 40, grid: { show: false }, values: secondTicks },
      {
        ...axis,
        size: 58,
        gap: 6,
        space: 24,
        grid,
        splits: () => [...latest.current.ticks],
        // By default a logarithmic axis drops some of them.
        filter: (_plot, ticks) => ticks,
        values: (_plot, ticks) => ticks.map((tick) => latest.current.formatTick(tick)),
      },
    ],
    series: [{}, ...lines],
    hooks: {
      drawClear: [(plot) => drawFaults(plot, latest.current.faults, colours)],
      setCursor: [
        (plot) => latest.current.onHover(plot.cursor.idx === undefined ? null : plot.cursor.idx),
      ],
    },
  };
}

function secondTicks(_plot: uPlot, ticks: number[]): string[] {
  return ticks.map((tick, index) => (index === ticks.length - 1 ? `${tick} s` : `${tick}`));
}

/** The time of each fault as a band behind the lines. */
function drawFaults(plot: uPlot, faults: readonly Fault[], colours: ChartColours): void {
  const { ctx, bbox } = plot;
  for (const { at, seconds } of faults) {
    const left = plot.valToPos(at, 'x', true);
    const right = Math.min(plot.valToPos(at + seconds, 'x', true), bbox.left + bbox.width);
    ctx.save();
    ctx.fillStyle = colours.faultFill;
    ctx.fillRect(left, bbox.top, right - left, bbox.height);
    ctx.fillStyle = colours.fault;
    ctx.fillRect(left, bbox.top, uPlot.pxRatio * 1.5, bbox.height);
    ctx.restore();
  }
}
