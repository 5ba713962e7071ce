import { type ReactNode, useId } from 'react';

interface Props<T> {
  legend: string;
  options: readonly { readonly value: T; readonly label: ReactNode }[];
  value: T;
  onChange: (value: T) => void;
  /** Larger options that hold a picture. */
  pictures?: boolean;
}

/** Radio buttons that look like one control. */
export function Choice<T extends string | number>(props: Props<T>) {
  const { legend, options, value, onChange, pictures = false } = props;
  const name = useId();
  return (
    <fieldset className={`choice ${pictures ? 'choice--pictures' : ''}`}>
      <legend>{legend}</legend>
      <div className="choice__options">
        {options.map((option) => (
          <label key={option.value} className="choice__option">
            <input
              type="radio"
              name={name}
              checked={option.value === value}
              onChange={() => onChange(option.value)}
            />
            <span>{option.label}</span>
          </label>
        ))}
      </div>
    </fieldset>
  );
}
