import type { ReactNode } from 'react';

interface Props {
  picture: ReactNode;
  title: string;
  /** Level of the title in the page it appears on. */
  headingLevel: 1 | 2;
  children: ReactNode;
  /** Ways on: links and buttons. */
  actions?: ReactNode;
  /** Read out at once: something went wrong that the reader did not ask for. */
  urgent?: boolean;
}

/** A whole-page state: a picture, what happened in plain words, and a way on. */
export function Notice({ picture, title, headingLevel, children, actions, urgent }: Props) {
  const Heading = `h${headingLevel}` as const;
  return (
    <div className="sf-notice" role={urgent ? 'alert' : undefined}>
      <div className="sf-notice__picture" aria-hidden="true">
        {picture}
      </div>
      <Heading className="sf-notice__title">{title}</Heading>
      <p className="sf-notice__text">{children}</p>
      {actions && <div className="sf-notice__actions">{actions}</div>}
    </div>
  );
}
