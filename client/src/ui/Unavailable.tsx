/** Replaces a small part of the page whose data could not be loaded. */
export function Unavailable({ onRetry }: { onRetry: () => void }) {
  return (
    <>
      <span className="sf-muted">Not available right now.</span>{' '}
      <button type="button" className="sf-link" onClick={onRetry}>
        Try again
      </button>
    </>
  );
}
