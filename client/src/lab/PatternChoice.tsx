import { Choice } from './Choice';
import { type LabInfo, ONE_TO_THREE, type OneToThree } from './model';
import { PatternPicture } from './PatternPicture';
import { describeRates, highestRate } from './patterns';

interface Props {
  legend: string;
  info: LabInfo;
  value: OneToThree;
  onChange: (value: OneToThree) => void;
}

/** A choice of patterns by their pictures. */
export function PatternChoice({ legend, info, value, onChange }: Props) {
  const options = ONE_TO_THREE.map((number) => {
    const rates = info.patterns[number];
    const label = (
      <>
        <PatternPicture rates={rates} highest={highestRate(info)} />
        <span className="pattern-text">{describeRates(rates)} a second</span>
      </>
    );
    return { value: number, label };
  });
  return <Choice legend={legend} options={options} value={value} onChange={onChange} pictures />;
}
