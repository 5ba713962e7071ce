import { type KeyboardEvent, type PointerEvent, type ReactNode, useId, useState } from 'react';

interface Props {
  /** The sentence that appears. */
  text: string;
  className?: string;
  children: ReactNode;
}

/**
 * Words with an explanation: on hover, on keyboard focus and on tap. It stays while the pointer is
 * on it, and Escape closes it. Its nearest positioned ancestor decides where it appears, so that a
 * narrow screen can give it the full width.
 */
export function Tooltip({ text, className = '', children }: Props) {
  const id = useId();
  const [hovered, setHovered] = useState(false);
  const [focused, setFocused] = useState(false);
  const close = () => {
    setHovered(false);
    setFocused(false);
  };
  // A finger "leaves" when it lifts; its tap must not close what it opened.
  const onHover = (over: boolean) => (event: PointerEvent) => {
    if (event.pointerType === 'mouse') setHovered(over);
  };
  const closeOnEscape = (event: KeyboardEvent) => {
    if (event.key === 'Escape') close();
  };
  return (
    <span className="sf-tooltip" onPointerEnter={onHover(true)} onPointerLeave={onHover(false)}>
      <button
        type="button"
        className={`sf-tooltip__trigger ${className}`}
        aria-describedby={id}
        onFocus={() => setFocused(true)}
        onBlur={() => setFocused(false)}
        onClick={() => setFocused(true)}
        onKeyDown={closeOnEscape}
      >
        {children}
      </button>
      <span role="tooltip" id={id} className="sf-tooltip__text" hidden={!(hovered || focused)}>
        {text}
      </span>
    </span>
  );
}
