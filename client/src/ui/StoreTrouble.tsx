import type { ReactNode } from 'react';
import type { FailureKind } from '../api/errors';
import { Notice } from './Notice';
import { ClosedShutter } from './pictures';
import { RetryButton } from './RetryButton';

interface Words {
  readonly title: string;
  readonly text: string;
}

const OUT_OF_ORDER: Words = {
  title: 'The store is out of order',
  text: 'It gave an answer that this page cannot use. Trying again may help.',
};

const WORDS: Record<FailureKind, Words> = {
  unreachable: {
    title: 'The store cannot be reached',
    text: 'It does not answer at the moment. Nothing is lost; please try again in a little while.',
  },
  refused: {
    title: 'The store does not know this place',
    text: 'The address may be incomplete, or older than the catalogue.',
  },
  missing: OUT_OF_ORDER,
  failed: OUT_OF_ORDER,
  malformed: OUT_OF_ORDER,
};

interface Props {
  kind: FailureKind;
  headingLevel: 1 | 2;
  onRetry: () => void;
  busy: boolean;
  /** Further ways on. */
  actions?: ReactNode;
}

/** The store itself gave no usable answer. */
export function StoreTrouble({ kind, headingLevel, onRetry, busy, actions }: Props) {
  return (
    <Notice
      picture={<ClosedShutter />}
      title={WORDS[kind].title}
      headingLevel={headingLevel}
      actions={
        <>
          <RetryButton onRetry={onRetry} busy={busy} />
          {actions}
        </>
      }
      urgent
    >
      {WORDS[kind].text}
    </Notice>
  );
}
