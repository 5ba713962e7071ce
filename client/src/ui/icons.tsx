import type { ReactNode } from 'react';

/** Line drawings for status panels. Decorative, hence hidden from assistive technology. */
export function Illustration({ children }: { children: ReactNode }) {
  return (
    <svg viewBox="0 0 160 96" width="160" height="96" fill="none" aria-hidden="true">
      {children}
    </svg>
  );
}

/** A shelf with one gap where a box is missing. */
export function EmptyShelfIcon() {
  return (
    <Illustration>
      <g fill="var(--sf-raised)" stroke="var(--sf-line-strong)" strokeWidth="2">
        <rect x="14" y="26" width="22" height="52" rx="3" />
        <rect x="38" y="32" width="18" height="46" rx="3" />
        <rect x="104" y="24" width="20" height="54" rx="3" />
        <rect x="126" y="36" width="22" height="42" rx="3" />
      </g>
      <rect
        x="62"
        y="28"
        width="36"
        height="49"
        rx="4"
        stroke="var(--sf-accent)"
        strokeWidth="2"
        strokeDasharray="5 5"
      />
      <path
        d="M75 47c0-7 11-7 11 0 0 5-6 5-6 10"
        stroke="var(--sf-accent)"
        strokeWidth="3"
        strokeLinecap="round"
      />
      <circle cx="80" cy="64" r="2" fill="var(--sf-accent)" />
      <path d="M4 80h152" stroke="var(--sf-line-strong)" strokeWidth="4" strokeLinecap="round" />
    </Illustration>
  );
}

/** A closed shop with its shutter down. */
export function ClosedShopIcon() {
  return (
    <Illustration>
      <path d="M30 34h100v50H30z" fill="var(--sf-raised)" />
      <path
        d="M38 44h84M38 53h84M38 62h84M38 71h84"
        stroke="var(--sf-line-strong)"
        strokeWidth="2"
      />
      <path d="M30 34v50h100V34" stroke="var(--sf-line-strong)" strokeWidth="2" />
      <path
        d="M36 12h88l10 22a8 8 0 0 1-15.4 3A8 8 0 0 1 104 37a8 8 0 0 1-16 0 8 8 0 0 1-16 0 8 8 0 0 1-16 0 8 8 0 0 1-14.6 0A8 8 0 0 1 26 34z"
        fill="var(--sf-accent)"
      />
      <rect
        x="66"
        y="55"
        width="28"
        height="13"
        rx="2"
        fill="var(--sf-background)"
        stroke="var(--sf-accent)"
        strokeWidth="1.5"
      />
      <path d="M72 61.5h16" stroke="var(--sf-accent)" strokeWidth="2" strokeLinecap="round" />
    </Illustration>
  );
}
