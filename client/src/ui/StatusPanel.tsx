import type { ReactNode } from 'react';

interface Props {
  icon: ReactNode;
  title: string;
  /** Level of the title in the page it appears on. */
  headingLevel: 1 | 2;
  children: ReactNode;
  /** Links and buttons for the next step. */
  actions?: ReactNode;
  /** Announced at once by screen readers: for errors and results. */
  urgent?: boolean;
}

/** A state of a whole page (empty, missing, failed, done): icon, title, text and next steps. */
export function StatusPanel({ icon, title, headingLevel, children, actions, urgent }: Props) {
  const Heading = `h${headingLevel}` as const;
  return (
    <div className="sf-status" role={urgent ? 'alert' : undefined}>
      <div className="sf-status__icon" aria-hidden="true">
        {icon}
      </div>
      <Heading className="sf-status__title">{title}</Heading>
      <p className="sf-status__text">{children}</p>
      {actions && <div className="sf-status__actions">{actions}</div>}
    </div>
  );
}
