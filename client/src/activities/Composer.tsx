import { type KeyboardEvent, useEffect, useId, useRef, useState } from 'react';
import { newActId, Unconfirmed } from '../api/act';
import type { Plan } from '../api/activities';
import { ApiError } from '../api/errors';
import { ErrorBox } from '../ui/ErrorBox';
import { useAction } from '../ui/useAction';
import { CopyId } from './CopyId';
import { useAct, useActivitiesApi } from './context';
import { useDraft } from './draft';
import { EXAMPLES } from './examples';
import { explainWrite } from './explain';
import { shortId } from './format';
import { PlanView } from './PlanView';
import { Progress } from './Progress';
import { findProblem, type Problem } from './problem';
import { Sentence } from './Sentence';

type Outcome =
  | { readonly kind: 'sent'; readonly id: string }
  | { readonly kind: 'plan'; readonly plan: Plan }
  | { readonly kind: 'failed'; readonly error: unknown; readonly problem: Problem | null };

/** The editor, and what became of the message in it. */
export function Composer() {
  const ids = useId();
  const editor = useRef<HTMLTextAreaElement>(null);
  const { draft, setText, open, detach } = useDraft();
  const { text, replaces } = draft;
  const { outcome, run, busy } = useSubmit(editor, detach);
  const submit = (mode: Mode) => run({ mode, text, replaced: replaces?.id ?? null });
  const showExample = (example: string) => {
    open(example, null);
    editor.current?.setSelectionRange(0, 0);
  };
  // The button that opened it is elsewhere on the page.
  useEffect(() => {
    if (replaces === null) return;
    editor.current?.focus();
    editor.current?.setSelectionRange(0, 0);
  }, [replaces]);
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key !== 'Enter' || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    submit('send');
  };
  const invalid = outcome?.kind === 'failed' && outcome.problem !== null;
  return (
    <section className="panel composer" aria-labelledby={`${ids}-title`}>
      <h2 id={`${ids}-title`}>Send a message</h2>
      <div className="composer__columns">
        <div className="composer__form">
          <fieldset className="composer__examples">
            <legend>Start from an example</legend>
            {EXAMPLES.map(({ name, hint, text }) => (
              <button
                key={name}
                type="button"
                className="chip"
                title={hint}
                onClick={() => showExample(text)}
              >
                {name}
              </button>
            ))}
          </fieldset>
          {replaces && (
            <p className="composer__replaces">
              It is sent in the place of the rejected message <code>{shortId(replaces.id)}</code>.{' '}
              <button
                type="button"
                className="sf-link"
                onClick={() => {
                  detach();
                  editor.current?.focus();
                }}
              >
                Send it as a new one instead
              </button>
            </p>
          )}
          <label htmlFor={ids}>Message (JSON)</label>
          <textarea
            ref={editor}
            id={ids}
            className="composer__editor"
            rows={15}
            spellCheck={false}
            autoComplete="off"
            autoCapitalize="off"
            value={text}
            aria-invalid={invalid}
            aria-describedby={`${ids}-outcome`}
            onChange={(event) => setText(event.target.value)}
            onKeyDown={onKeyDown}
          />
          <div className="composer__actions">
            <Submit label="Send" busyLabel="Sending…" busy={busy} onClick={() => submit('send')} />
            <Submit
              label="Check only"
              busyLabel="Checking…"
              busy={busy}
              secondary
              onClick={() => submit('check')}
            />
            <p className="composer__hint">Ctrl+Enter sends.</p>
          </div>
        </div>
        <div className="composer__side">
          <div className="composer__outcome" id={`${ids}-outcome`}>
            <h3>Result</h3>
            <ErrorBox>{outcome?.kind === 'failed' && <Failure {...outcome} />}</ErrorBox>
            {outcome?.kind === 'sent' && (
              <>
                <p>
                  Message <CopyId id={outcome.id} />
                </p>
                <Progress key={outcome.id} id={outcome.id} watched />
              </>
            )}
            <div role="status">{outcome?.kind === 'plan' && <PlanView plan={outcome.plan} />}</div>
            {outcome === null && (
              <p className="sf-muted">
                Send the message to watch it being queued and applied or rejected. Check only shows
                what it would do, and queues nothing.
              </p>
            )}
          </div>
        </div>
      </div>
    </section>
  );
}

type Mode = 'send' | 'check';

interface Submission {
  readonly mode: Mode;
  readonly text: string;
  /** The rejected message in whose place it is sent. */
  readonly replaced: string | null;
}

/** Sends or checks a text. An error that is about the text is selected in the editor. */
function useSubmit(
  editor: { readonly current: HTMLTextAreaElement | null },
  onReplaced: () => void,
) {
  const api = useActivitiesApi();
  const perform = useAct();
  const [outcome, setOutcome] = useState<Outcome | null>(null);
  // A text that may have been queued is sent again under its key, so that it is queued once.
  const unconfirmed = useRef({ text: '', replaced: null as string | null, id: '' });
  const send = async (text: string, replaced: string | null): Promise<Outcome> => {
    const { current } = unconfirmed;
    const isSame = current.text === text && current.replaced === replaced;
    const id = isSame ? current.id : newActId();
    try {
      const write = perform(
        (act) =>
          act.write((options) =>
            replaced === null ? api.send(text, options) : api.retry(replaced, options, text),
          ),
        id,
      );
      const outcome = { kind: 'sent', id: await write } as const;
      unconfirmed.current = { text: '', replaced: null, id: '' };
      if (replaced !== null) onReplaced();
      return outcome;
    } catch (error) {
      if (error instanceof Unconfirmed) unconfirmed.current = { text, replaced, id };
      throw error;
    }
  };
  const check = async (text: string): Promise<Outcome> => ({
    kind: 'plan',
    plan: await perform((act) => act.read((signal) => api.plan(text, signal))),
  });
  const { run, busy } = useAction(async ({ mode, text, replaced }: Submission) => {
    try {
      setOutcome(await (mode === 'send' ? send(text, replaced) : check(text)));
    } catch (error) {
      const problem = findProblem(text, error instanceof ApiError ? error : null);
      setOutcome({ kind: 'failed', error, problem });
      if (problem && editor.current?.value === text) select(editor.current, problem);
    }
  });
  return { outcome, run, busy };
}

/** Focuses the editor, selects the range and scrolls to it. */
function select(editor: HTMLTextAreaElement, { start, end, line }: Problem): void {
  editor.focus();
  editor.setSelectionRange(start, end);
  const lineHeight = Number.parseFloat(getComputedStyle(editor).lineHeight) || 0;
  editor.scrollTop = Math.max(0, (line - 3) * lineHeight);
}

function Failure({ error, problem }: { error: unknown; problem: Problem | null }) {
  return (
    <>
      <p>
        <Sentence
          text={explainWrite(error, {
            notDone: problem ? 'The message is invalid.' : 'Nothing was queued.',
            whether: 'the message was queued',
            next: 'Send it again: the same text is queued only once.',
          })}
        />
      </p>
      {problem && <p className="composer__place">Line {problem.line}, selected in the editor.</p>}
    </>
  );
}

interface SubmitProps {
  label: string;
  busyLabel: string;
  busy: boolean;
  secondary?: boolean;
  onClick: () => void;
}

function Submit({ label, busyLabel, busy, secondary = false, onClick }: SubmitProps) {
  return (
    // Not `disabled` while busy, because a disabled button loses the keyboard focus.
    <button
      type="button"
      className={`sf-button ${secondary ? 'sf-button--secondary' : ''}`}
      aria-disabled={busy}
      onClick={busy ? undefined : onClick}
    >
      {busy && !secondary ? busyLabel : label}
    </button>
  );
}
