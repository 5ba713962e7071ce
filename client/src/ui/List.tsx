import type { ReactNode } from 'react';

/** A list without bullets. The explicit role is for Safari, which drops it from such lists. */
export function List({ className = '', children }: { className?: string; children: ReactNode }) {
  return (
    // biome-ignore lint/a11y/noRedundantRoles: Safari drops the implicit role
    <ul role="list" className={`sf-list ${className}`}>
      {children}
    </ul>
  );
}
