interface Props {
  onRetry: () => void;
  /** A retry is in progress. */
  busy: boolean;
}

export function RetryButton({ onRetry, busy }: Props) {
  return (
    // Not `disabled` while busy, because a disabled button loses the keyboard focus.
    <button
      type="button"
      className="sf-button"
      aria-disabled={busy}
      onClick={busy ? undefined : onRetry}
    >
      {busy ? 'Retrying…' : 'Try again'}
    </button>
  );
}
