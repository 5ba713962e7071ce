import { useCallback, useEffect, useState } from 'react';

export interface Playhead {
  /** Seconds that are shown; null: all of them. */
  readonly position: number | null;
  readonly playing: boolean;
  /** From the beginning, one second each second. */
  readonly play: () => void;
  readonly pause: () => void;
  readonly resume: () => void;
  readonly showAll: () => void;
}

/** Which part of a recorded run is shown. */
export function usePlayhead(seconds: number, initial: 'all' | 'playing' = 'all'): Playhead {
  const [position, setPosition] = useState<number | null>(initial === 'all' ? null : 0);
  const [playing, setPlaying] = useState(initial === 'playing');
  useEffect(() => {
    if (!playing) return;
    const advance = (before: number | null) => Math.min(seconds, (before ?? 0) + 1);
    const timer = window.setInterval(() => setPosition(advance), 1_000);
    return () => window.clearInterval(timer);
  }, [playing, seconds]);
  useEffect(() => {
    if (playing && position !== null && position >= seconds) setPlaying(false);
  }, [playing, position, seconds]);
  const play = useCallback(() => {
    setPosition(0);
    setPlaying(true);
  }, []);
  const pause = useCallback(() => setPlaying(false), []);
  const resume = useCallback(() => setPlaying(true), []);
  const showAll = useCallback(() => {
    setPlaying(false);
    setPosition(null);
  }, []);
  return { position, playing, play, pause, resume, showAll };
}
