import { Choice } from './Choice';
import type { TimeScale } from './measures';

const SCALES = [
  { value: 'linear', label: 'Linear' },
  { value: 'log', label: 'Logarithmic' },
] as const;

/** Databases of which one is a hundred times slower are both readable on a logarithmic axis. */
export function ScaleChoice({
  scale,
  onChange,
}: {
  scale: TimeScale;
  onChange: (scale: TimeScale) => void;
}) {
  return <Choice legend="Time axis" options={SCALES} value={scale} onChange={onChange} />;
}
