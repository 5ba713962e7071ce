import { formatNumber } from '../ui/format';
import type { RunForm } from './form';
import type { LabInfo } from './model';
import { meanRate } from './patterns';

/** What the choices add up to, and on which machine. */
export function OfferedRate({ form, info }: { form: RunForm; info: LabInfo }) {
  const rate = (number: 1 | 2 | 3) =>
    formatNumber(Math.round(meanRate(info.patterns[number]) * form.intensity));
  return (
    <p className="note" role="status">
      Each database is offered {rate(form.readPattern)} reads and {rate(form.writePattern)} writes a
      second on average, whether it keeps up or not. Keys are drawn {describeKeys(info.keys)}.
    </p>
  );
}

function describeKeys(keys: string): string {
  return keys === 'uniform' ? 'evenly' : `as ${keys}`;
}
