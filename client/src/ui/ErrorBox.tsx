import type { ReactNode } from 'react';

/** An error beside the control that caused it. The live region stays, so that changes are announced. */
export function ErrorBox({ children }: { children: ReactNode }) {
  return <div role="alert">{children && <div className="error-box">{children}</div>}</div>;
}
