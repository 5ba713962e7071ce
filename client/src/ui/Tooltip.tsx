import { type KeyboardEvent, type PointerEvent, type ReactNode, useId, useState } from 'react';

interface Props {
  /** Shown in the tooltip. */
  text: string;
  className?: string;
  children: ReactNode;
}

/**
 * Text with an explanation that opens on hover, focus and tap. It stays open while the pointer is
 * over it, and Escape closes it (WCAG 1.4.13). It is placed by its nearest positioned ancestor, so
 * that it can take the full width of a narrow screen.
 */
export function Tooltip({ text, className = '', children }: Props) {
  const id = useId();
  const [hovered, setHovered] = useState(false);
  const [focused, setFocused] = useState(false);
  const close = () => {
    setHovered(false);
    setFocused(false);
  };
  // Touch sends pointerleave when the finger lifts, which would close what the tap has just opened.
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
