import { useMutation } from '@tanstack/react-query';
import { useCallback, useEffect, useRef, useState } from 'react';

/** How long a button ignores clicks after its action, so that a double click acts once. */
const COOLDOWN_MS = 700;

/** The action of a button: one at a time, and once for a double click. */
export function useAction<In = void>(action: (input: In) => Promise<void>) {
  const { mutate, isPending, error } = useMutation({
    mutationFn: action,
    networkMode: 'always',
  });
  const [coolingDown, startCooldown] = useCooldown();
  // A ref, because a second click may come before the state of the first is rendered.
  const running = useRef(false);
  const run = useCallback(
    (input: In) => {
      if (running.current) return;
      running.current = true;
      const release = () => {
        running.current = false;
      };
      mutate(input, { onError: release, onSuccess: () => startCooldown(release) });
    },
    [mutate, startCooldown],
  );
  return { run, busy: isPending, done: coolingDown, error };
}

function useCooldown(): [boolean, (then: () => void) => void] {
  const [coolingDown, setCoolingDown] = useState(false);
  const timer = useRef(0);
  useEffect(() => () => window.clearTimeout(timer.current), []);
  const startCooldown = useCallback((then: () => void) => {
    setCoolingDown(true);
    timer.current = window.setTimeout(() => {
      setCoolingDown(false);
      then();
    }, COOLDOWN_MS);
  }, []);
  return [coolingDown, startCooldown];
}
