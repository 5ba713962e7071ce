import type { ReactNode } from 'react';
import { Illustration } from '../ui/icons';

export function CartIcon({ size = 20 }: { size?: number }) {
  return (
    <svg viewBox="0 0 20 20" width={size} height={size} fill="none" aria-hidden="true">
      <path
        d="M1.5 2.5h2.2l2 9.2a1.4 1.4 0 0 0 1.4 1.1h7.3a1.4 1.4 0 0 0 1.4-1.1l1.4-6.2H4.4"
        stroke="currentColor"
        strokeWidth="1.75"
        strokeLinecap="round"
        strokeLinejoin="round"
      />
      <circle cx="7.75" cy="16.5" r="1.5" fill="currentColor" />
      <circle cx="14" cy="16.5" r="1.5" fill="currentColor" />
    </svg>
  );
}

export function EmptyBagIcon() {
  return (
    <BagOnCounter>
      <path
        d="M68 42V28a12 12 0 0 1 24 0v14"
        stroke="var(--sf-accent)"
        strokeWidth="2.5"
        strokeLinecap="round"
      />
    </BagOnCounter>
  );
}

export function FullBagIcon() {
  return (
    <BagOnCounter
      behind={
        <g fill="var(--sf-accent)">
          <rect x="62" y="16" width="14" height="24" rx="2" transform="rotate(-8 69 28)" />
          <rect x="84" y="14" width="14" height="26" rx="2" transform="rotate(7 91 27)" />
        </g>
      }
    >
      <path
        d="m69 57 8 8 15-17"
        stroke="var(--sf-best)"
        strokeWidth="4"
        strokeLinecap="round"
        strokeLinejoin="round"
      />
    </BagOnCounter>
  );
}

function BagOnCounter({ behind, children }: { behind?: ReactNode; children: ReactNode }) {
  return (
    <Illustration>
      {behind}
      <path
        d="M56 34h48l5 44H51z"
        fill="var(--sf-raised)"
        stroke="var(--sf-line-strong)"
        strokeWidth="2"
        strokeLinejoin="round"
      />
      {children}
      <path d="M14 80h132" stroke="var(--sf-line-strong)" strokeWidth="4" strokeLinecap="round" />
    </Illustration>
  );
}

export function CheckIcon() {
  return (
    <svg viewBox="0 0 20 20" width="18" height="18" fill="none" aria-hidden="true">
      <path d="m4 10.5 4 4 8-9" stroke="currentColor" strokeWidth="2.25" strokeLinecap="round" />
    </svg>
  );
}
