import { useCart } from '../cart/context';
import { shortId } from './format';

/** The end of an id, and a button that copies all of it. */
export function CopyId({ id }: { id: string }) {
  const { showMessage } = useCart();
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(id);
      showMessage({ text: 'The id was copied.', tone: 'good' });
    } catch {
      // Pages that are served over plain http have no clipboard.
      showMessage({
        text: `The browser does not let this page copy. The id is ${id}`,
        tone: 'plain',
      });
    }
  };
  return (
    <span className="copy-id">
      <code title={id}>{shortId(id)}</code>
      <button
        type="button"
        className="copy-id__button"
        aria-label={`Copy id ${shortId(id)}`}
        onClick={() => void copy()}
      >
        <svg viewBox="0 0 20 20" width="16" height="16" fill="none" aria-hidden="true">
          <g stroke="currentColor" strokeWidth="1.75">
            <rect x="7" y="7" width="9" height="10" rx="1.5" />
            <path d="M13 4.5V4a1 1 0 0 0-1-1H5a1 1 0 0 0-1 1v9a1 1 0 0 0 1 1h.5" />
          </g>
        </svg>
      </button>
    </span>
  );
}
