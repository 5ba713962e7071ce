import { type FormEvent, useId, useRef, useState } from 'react';
import { parseGameId } from '../api/gameId';
import { navigate } from '../router/location';

/** A form that goes to the game with the number entered. */
export function NumberSearch() {
  const id = useId();
  const input = useRef<HTMLInputElement>(null);
  const [text, setText] = useState('');
  const [error, setError] = useState<string | null>(null);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    const number = parseGameId(text.trim());
    setError(number === null ? describeError(text.trim()) : null);
    if (number === null) return input.current?.focus();
    setText('');
    navigate(`/${number}`);
  };
  return (
    <search>
      <form className="search" onSubmit={submit} noValidate>
        <label className="sf-visually-hidden" htmlFor={id}>
          Game number
        </label>
        <input
          ref={input}
          id={id}
          className="search__input"
          inputMode="numeric"
          autoComplete="off"
          enterKeyHint="go"
          placeholder="Game number"
          value={text}
          aria-invalid={error !== null}
          aria-describedby={`${id}-error`}
          onChange={(event) => {
            setText(event.target.value);
            setError(null);
          }}
          onKeyDown={(event) => {
            if (event.key === 'Escape') setError(null);
          }}
          onBlur={() => setError(null)}
        />
        <button type="submit" className="search__submit" aria-label="Go to game">
          <svg viewBox="0 0 20 20" width="20" height="20" fill="none" aria-hidden="true">
            <circle cx="8.5" cy="8.5" r="5" stroke="currentColor" strokeWidth="2" />
            <path
              d="m12.5 12.5 4.5 4.5"
              stroke="currentColor"
              strokeWidth="2"
              strokeLinecap="round"
            />
          </svg>
        </button>
        <p className="search__error" id={`${id}-error`} role="alert">
          {error}
        </p>
      </form>
    </search>
  );
}

function describeError(text: string): string {
  if (text === '') return 'Enter a game number, such as 42.';
  if (/^-?\d+$/.test(text)) return 'Game numbers go up to 2,147,483,647.';
  return 'Enter a whole number, such as 42.';
}
