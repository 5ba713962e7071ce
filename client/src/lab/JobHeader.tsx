import { plural } from '../ui/format';
import { describeFault, STANDS_FOR, sizeName, TARGET_NAMES } from './labels';
import type { DatabaseLabel, Fault, Job, OneToThree, Target, Window } from './model';
import { NoticeTags } from './Notices';
import { hasEnded } from './runState';
import { StateBadge } from './StateBadge';
import { notices } from './verdict';

interface LabelProps {
  target: Target;
  size: OneToThree;
  intensity: OneToThree;
  database: DatabaseLabel;
}

/** Which database it is; a stand-in is marked with what it stands for. */
export function DatabaseLine({ target, size, intensity, database }: LabelProps) {
  return (
    <>
      <p className="pane__database">
        {database.name}
        <span className="sf-muted">
          {' '}
          · {sizeName(target, size)} · {plural(intensity, 'worker')}
        </span>
      </p>
      {database.standIn && (
        <p className="stand-in">
          <strong>Stand-in</strong> for {STANDS_FOR[target]}. Its numbers say nothing about that
          database.
        </p>
      )}
    </>
  );
}

interface Props {
  job: Job;
  windows: readonly Window[];
}

/** Which database it is, how far its run is, and what is wrong with it. */
export function JobHeader({ job, windows }: Props) {
  const measured = Math.min(job.seconds, (windows.at(-1)?.second ?? -1) + 1);
  return (
    <>
      <DatabaseLine {...job} />
      <div className="pane__progress">
        <StateBadge state={job.state} />
        {!hasEnded(job.state) && (
          <progress
            max={job.seconds}
            value={measured}
            aria-label={`Progress of ${TARGET_NAMES[job.target]}`}
          />
        )}
        <span className="pane__seconds">
          {measured} of {job.seconds} s
        </span>
        <NoticeTags notices={notices(job, windows)} />
      </div>
      <Faults faults={job.faults} />
    </>
  );
}

export function Faults({ faults }: { faults: readonly Fault[] }) {
  return faults.map((fault) => (
    <p key={describeFault(fault)} className="fault">
      <span className="fault__key" aria-hidden="true" /> Fault: {describeFault(fault)}
    </p>
  ));
}
