import type { Playhead } from './usePlayhead';

/** Shows a recorded run again as it went, or at once. */
export function ReplayControls({ seconds, playhead }: { seconds: number; playhead: Playhead }) {
  const { position, playing, play, pause, resume, showAll } = playhead;
  const shown = position ?? seconds;
  const midway = position !== null && position < seconds;
  return (
    <div className="replay">
      {playing ? (
        <Button onClick={pause}>Pause</Button>
      ) : (
        <Button onClick={midway ? resume : play}>{midway ? 'Continue' : 'Replay at 1×'}</Button>
      )}
      {midway && <Button onClick={showAll}>All at once</Button>}
      {position !== null && (
        <>
          <progress max={seconds} value={shown} aria-label="Progress of the replay" />
          <span className="pane__seconds">
            {Math.min(shown, seconds)} of {seconds} s
          </span>
        </>
      )}
    </div>
  );
}

function Button({ onClick, children }: { onClick: () => void; children: string }) {
  return (
    <button type="button" className="sf-button sf-button--secondary" onClick={onClick}>
      {children}
    </button>
  );
}
