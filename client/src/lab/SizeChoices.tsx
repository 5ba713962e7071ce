import { Choice } from './Choice';
import { STANDS_FOR, sizeName, TARGET_NAMES } from './labels';
import { type LabInfo, ONE_TO_THREE, type OneToThree, TARGETS, type Target } from './model';

type Sizes = Readonly<Record<Target, OneToThree>>;

interface Props {
  info: LabInfo;
  sizes: Sizes;
  onChange: (sizes: Sizes) => void;
}

/** The size of each database, and which database that is. */
export function SizeChoices({ info, sizes, onChange }: Props) {
  return (
    <div className="run-form__sizes">
      {TARGETS.map((target, index) => {
        const database = info.databases.find(
          ({ type, size }) => type === index + 1 && size === sizes[target],
        );
        return (
          <div key={target} className="size-choice">
            <Choice
              legend={TARGET_NAMES[target]}
              options={ONE_TO_THREE.map((value) => ({ value, label: sizeName(target, value) }))}
              value={sizes[target]}
              onChange={(size) => onChange({ ...sizes, [target]: size })}
            />
            {database && (
              <p className="size-choice__database">
                {database.name}
                {database.standIn && (
                  <>
                    {' '}
                    <span className="tag">Stand-in</span> for{' '}
                    {database.standsFor ?? STANDS_FOR[target]}
                  </>
                )}
                {database.state !== 'free' && (
                  <>
                    {' '}
                    <span className="tag" data-tone={database.why === null ? undefined : 'bad'}>
                      {database.state}
                    </span>{' '}
                    {database.why}
                  </>
                )}
              </p>
            )}
          </div>
        );
      })}
    </div>
  );
}
