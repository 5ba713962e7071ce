import { createContext, type ReactNode, useCallback, useContext, useMemo, useState } from 'react';
import { EXAMPLES } from './examples';

/** What is in the editor. */
export interface Draft {
  readonly text: string;
  /** The rejected message in whose place it is sent; another object each time that one is opened. */
  readonly replaces: { readonly id: string } | null;
}

interface DraftActions {
  readonly draft: Draft;
  /** What a person types. */
  readonly setText: (text: string) => void;
  /** Opens a text, which is sent in the place of a rejected message or as a new one. */
  readonly open: (text: string, replaced: string | null) => void;
  /** The text stays, as a new message. */
  readonly detach: () => void;
}

const DraftContext = createContext<DraftActions | null>(null);

export function useDraft(): DraftActions {
  const actions = useContext(DraftContext);
  if (actions === null) throw new Error('no DraftProvider above this component');
  return actions;
}

/** Shares the editor's text with the lists, from which rejected messages are opened in it. */
export function DraftProvider({ children }: { children: ReactNode }) {
  const [draft, setDraft] = useState<Draft>({ text: EXAMPLES[0]?.text ?? '', replaces: null });
  const setText = useCallback((text: string) => setDraft((draft) => ({ ...draft, text })), []);
  const open = useCallback((text: string, id: string | null) => {
    setDraft({ text, replaces: id === null ? null : { id } });
  }, []);
  const detach = useCallback(() => setDraft((draft) => ({ ...draft, replaces: null })), []);
  const actions = useMemo(() => ({ draft, setText, open, detach }), [draft, setText, open, detach]);
  return <DraftContext value={actions}>{children}</DraftContext>;
}
