import { useQueryClient } from '@tanstack/react-query';
import { type FormEvent, useState } from 'react';
import { navigate } from '../router/location';
import { ErrorBox } from '../ui/ErrorBox';
import { plural } from '../ui/format';
import { useAction } from '../ui/useAction';
import { Choice } from './Choice';
import { useLabApi } from './context';
import { explain } from './explain';
import { FaultFields } from './FaultFields';
import {
  cachedBody,
  type RunForm as Form,
  failBody,
  formProblem,
  MAX_SECONDS,
  MIN_SECONDS,
  newForm,
  runBody,
} from './form';
import { MODE_NAMES } from './labels';
import { type LabInfo, MODES, ONE_TO_THREE } from './model';
import { OfferedRate } from './OfferedRate';
import { PatternChoice } from './PatternChoice';
import { replayHref, runHref } from './path';
import { SizeChoices } from './SizeChoices';

/** Chooses and starts a run, or replays one that was kept. */
export function RunForm({ info }: { info: LabInfo }) {
  const [form, setForm] = useState(() => newForm(info.seconds));
  const change = (part: Partial<Form>) => setForm((before) => ({ ...before, ...part }));
  const { start, fail, replay, busy, problem } = useStart(form);
  const onSubmit = (event: FormEvent) => {
    event.preventDefault();
    start();
  };
  return (
    <form className="panel run-form" aria-labelledby="new-run" onSubmit={onSubmit} noValidate>
      <h2 id="new-run">New run</h2>
      <div className="run-form__patterns">
        <PatternChoice
          legend="Reads, per worker"
          info={info}
          value={form.readPattern}
          onChange={(readPattern) => change({ readPattern })}
        />
        <PatternChoice
          legend="Writes, per worker"
          info={info}
          value={form.writePattern}
          onChange={(writePattern) => change({ writePattern })}
        />
      </div>
      <SizeChoices info={info} sizes={form.sizes} onChange={(sizes) => change({ sizes })} />
      <div className="run-form__settings">
        <Choice
          legend="Intensity"
          options={ONE_TO_THREE.map((value) => ({ value, label: plural(value, 'worker') }))}
          value={form.intensity}
          onChange={(intensity) => change({ intensity })}
        />
        <Choice
          legend="Load the databases"
          options={MODES.map((value) => ({ value, label: MODE_NAMES[value] }))}
          value={form.mode}
          onChange={(mode) => change({ mode })}
        />
        <label className="field">
          <span>
            Seconds ({MIN_SECONDS} to {MAX_SECONDS})
          </span>
          <input
            inputMode="numeric"
            autoComplete="off"
            value={form.seconds}
            onChange={(event) => change({ seconds: event.target.value })}
          />
        </label>
      </div>
      <FaultFields fault={form.fault} onChange={(fault) => change({ fault })} />
      <OfferedRate form={form} info={info} />
      <div className="run-form__actions">
        <button type="submit" className="sf-button" aria-disabled={busy}>
          {busy ? 'Starting…' : 'Start the run'}
        </button>
        <Secondary busy={busy} onClick={replay}>
          Replay the cached run
        </Secondary>
        <Secondary busy={busy} onClick={fail}>
          Show a small database failing
        </Secondary>
      </div>
      <ErrorBox>{problem && <p>{problem}</p>}</ErrorBox>
    </form>
  );
}

/** The three things that the form's buttons do, one at a time. */
function useStart(form: Form) {
  const api = useLabApi();
  const client = useQueryClient();
  const [invalid, setInvalid] = useState<string | null>(null);
  const patterns = `${form.readPattern}-${form.writePattern}`;
  const { run, busy, error } = useAction(async (what: 'run' | 'fail' | 'replay') => {
    if (what === 'replay') {
      navigate(replayHref(await api.chooseCached(cachedBody(form)), patterns));
      return;
    }
    const ids = await (what === 'run' ? api.run(runBody(form)) : api.fail(failBody(form)));
    void client.invalidateQueries({ queryKey: ['lab'] });
    navigate(runHref(ids));
  });
  const start = () => {
    const problem = formProblem(form);
    setInvalid(problem);
    if (problem === null) run('run');
  };
  return {
    start,
    fail: () => run('fail'),
    replay: () => run('replay'),
    busy,
    problem: invalid ?? (error ? explain(error) : null),
  };
}

interface SecondaryProps {
  busy: boolean;
  onClick: () => void;
  children: string;
}

function Secondary({ busy, onClick, children }: SecondaryProps) {
  return (
    <button
      type="button"
      className="sf-button sf-button--secondary"
      aria-disabled={busy}
      onClick={busy ? undefined : onClick}
    >
      {children}
    </button>
  );
}
