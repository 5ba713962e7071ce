import { formatNumber, plural } from '../ui/format';
import { MODE_NAMES } from './labels';
import type { LabInfo, Mode, OneToThree } from './model';
import { PatternPicture } from './PatternPicture';
import { describeRates, highestRate } from './patterns';

interface Props {
  readPattern: OneToThree;
  writePattern: OneToThree;
  intensity: OneToThree;
  seconds: number;
  /** Null where there is one database. */
  mode?: Mode | null;
  info: LabInfo | undefined;
}

/** What a run offers its databases. */
export function Workload({ readPattern, writePattern, intensity, seconds, mode, info }: Props) {
  return (
    <dl className="workload">
      <Pattern name="Reads" number={readPattern} info={info} />
      <Pattern name="Writes" number={writePattern} info={info} />
      <div>
        <dt>Workers</dt>
        <dd>{formatNumber(intensity)}</dd>
      </div>
      <div>
        <dt>Length</dt>
        <dd>{plural(seconds, 'second')}</dd>
      </div>
      {mode && (
        <div>
          <dt>Loaded</dt>
          <dd>{MODE_NAMES[mode]}</dd>
        </div>
      )}
    </dl>
  );
}

function Pattern({
  name,
  number,
  info,
}: {
  name: string;
  number: OneToThree;
  info: LabInfo | undefined;
}) {
  const rates = info?.patterns[number];
  return (
    <div>
      <dt>{name}</dt>
      <dd className="workload__pattern">
        {info && rates && <PatternPicture rates={rates} highest={highestRate(info)} />}
        <span>{rates ? `${describeRates(rates)} a second` : `Pattern ${number}`}</span>
      </dd>
    </div>
  );
}
