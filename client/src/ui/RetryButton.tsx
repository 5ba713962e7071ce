interface Props {
  onRetry: () => void;
  /** A try is under way. */
  busy: boolean;
}

export function RetryButton({ onRetry, busy }: Props) {
  return (
    // Not `disabled` while busy: that would drop the keyboard's focus.
    <button
      type="button"
      className="sf-button"
      aria-disabled={busy}
      onClick={busy ? undefined : onRetry}
    >
      {busy ? 'Trying …' : 'Try again'}
    </button>
  );
}
