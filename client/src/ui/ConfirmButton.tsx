import { useState } from 'react';

interface Props {
  label: string;
  /** Completes the accessible name, such as the row that the button belongs to. */
  of?: string;
  /** What is asked before the action; without it the confirming button stands alone. */
  question?: string;
  confirm: string;
  keep: string;
  busy: boolean;
  busyLabel: string;
  onConfirm: () => void;
}

/** Focuses a button that replaces the focused one; otherwise the keyboard focus would be lost. */
function focusOnMount(button: HTMLButtonElement | null): void {
  button?.focus();
}

/** A button whose action cannot be undone, so that it is asked for twice. */
export function ConfirmButton(props: Props) {
  const { label, of, question, confirm, keep, busy, busyLabel, onConfirm } = props;
  const [state, setState] = useState<'no' | 'asking' | 'kept'>('no');
  const name = (text: string) => (of === undefined ? undefined : `${text} ${of}`);
  if (state !== 'asking') {
    return (
      // The key keeps React from reusing the focused button that confirms.
      <button
        key="ask"
        ref={state === 'kept' ? focusOnMount : undefined}
        type="button"
        className="sf-link"
        aria-label={name(label)}
        onClick={() => setState('asking')}
      >
        {label}
      </button>
    );
  }
  return (
    <>
      {question && <span>{question}</span>}
      <button
        ref={focusOnMount}
        type="button"
        className="sf-link sf-link--danger"
        aria-label={busy ? undefined : name(confirm)}
        aria-disabled={busy}
        onClick={busy ? undefined : onConfirm}
      >
        {busy ? busyLabel : confirm}
      </button>
      <button
        type="button"
        className="sf-link"
        aria-label={name(keep)}
        onClick={() => setState('kept')}
      >
        {keep}
      </button>
    </>
  );
}
