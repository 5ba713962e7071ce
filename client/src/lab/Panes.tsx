import { type ReactNode, useCallback, useMemo, useState } from 'react';
import { ChartFigure, type ChartFrame, type ChartLine } from './ChartFigure';
import { MEASURES, sharedRange, type TimeScale } from './measures';
import type { Fault, Window } from './model';
import { ScaleChoice } from './ScaleChoice';

/** A database of a view: its name, what is said of it, and its lines. */
export interface PaneContent {
  readonly key: string;
  readonly title: string;
  readonly header: ReactNode;
  readonly footer: ReactNode;
  readonly lines: readonly ChartLine[];
  readonly faults: readonly Fault[];
}

interface Props {
  /** Names the group of panes. */
  label: string;
  seconds: number;
  panes: readonly PaneContent[];
  /** Its newest windows may still change. */
  live?: boolean;
}

/** Panes side by side whose charts have the same axes. */
export function Panes({ label, seconds, panes, live = false }: Props) {
  const [scale, setScale] = useState<TimeScale>('linear');
  const [hovered, setHovered] = useState<number | null>(null);
  const onHover = useCallback((second: number | null) => setHovered(second), []);
  const frame: ChartFrame = { seconds, scale, hovered, onHover };
  const runs: readonly (readonly Window[])[] = useMemo(
    () => panes.flatMap(({ lines }) => lines.map(({ windows }) => windows)),
    [panes],
  );
  return (
    <section className="panes-section" aria-label={label}>
      <div className="panes__bar">
        <p className="panes__note">
          The charts of a measure have the same axes in all panes.
          {live &&
            ' The last five seconds are provisional until their slowest transactions have ended.'}
        </p>
        <ScaleChoice scale={scale} onChange={setScale} />
      </div>
      <div className="panes" data-count={panes.length}>
        {panes.map(({ key, title, header, footer, lines, faults }) => (
          <article key={key} className="pane" aria-labelledby={`pane-${key}`}>
            <h2 id={`pane-${key}`} className="pane__title">
              {title}
            </h2>
            <div className="pane__header">{header}</div>
            {MEASURES.map((measure) => (
              <ChartFigure
                key={measure.id}
                measure={measure}
                of={title}
                lines={lines}
                range={sharedRange(runs, measure, scale)}
                faults={faults}
                frame={frame}
              />
            ))}
            <div className="pane__footer">{footer}</div>
          </article>
        ))}
      </div>
    </section>
  );
}
