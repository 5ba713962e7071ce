import { FAULT_TARGETS, type FaultForm, NEW_FAULT } from './form';
import { FAULT_ACTIONS } from './model';

interface Props {
  fault: FaultForm | null;
  onChange: (fault: FaultForm | null) => void;
}

/** A fault that is drawn into the run. */
export function FaultFields({ fault, onChange }: Props) {
  return (
    <fieldset className="fault-fields">
      <legend className="sf-visually-hidden">Fault</legend>
      <label className="check">
        <input
          type="checkbox"
          checked={fault !== null}
          onChange={(event) => onChange(event.target.checked ? NEW_FAULT : null)}
        />
        <span>
          Let a server fail during the run
          <span className="sf-muted"> (only servers that this project’s scripts started here)</span>
        </span>
      </label>
      {fault && <Fields fault={fault} onChange={onChange} />}
    </fieldset>
  );
}

function Fields({ fault, onChange }: { fault: FaultForm; onChange: (fault: FaultForm) => void }) {
  const change = (part: Partial<FaultForm>) => onChange({ ...fault, ...part });
  return (
    <div className="run-form__settings">
      <label className="field">
        <span>Server</span>
        <select value={fault.target} onChange={(event) => change({ target: event.target.value })}>
          {FAULT_TARGETS.map((target) => (
            <option key={target}>{target}</option>
          ))}
        </select>
      </label>
      <label className="field">
        <span>What happens</span>
        <select
          value={fault.action}
          onChange={(event) => {
            const action = FAULT_ACTIONS.find((one) => one === event.target.value);
            if (action) change({ action });
          }}
        >
          {FAULT_ACTIONS.map((action) => (
            <option key={action}>{action}</option>
          ))}
        </select>
      </label>
      <label className="field">
        <span>In second</span>
        <input
          inputMode="numeric"
          value={fault.at}
          onChange={(event) => change({ at: event.target.value })}
        />
      </label>
      <label className="field">
        <span>For seconds</span>
        <input
          inputMode="numeric"
          value={fault.seconds}
          onChange={(event) => change({ seconds: event.target.value })}
        />
      </label>
    </div>
  );
}
