"""What a script says while it works: progress lines and refusals."""

import sys


class Failure(Exception):
    """Something the user can put right; the text names the flag or the command that does."""


def say(line: str) -> None:
    """A line about the work; results alone go to standard output."""
    print(line, file=sys.stderr, flush=True)


def clock(seconds: float) -> str:
    """A duration as people say it: `40 s`, `about 3 min`."""
    return f"{seconds:.0f} s" if seconds < 90 else f"about {seconds / 60:.0f} min"


class Progress:
    """Counts steps and says before each what it does and how long all of it still takes."""

    def __init__(self, steps: int, seconds_each: float) -> None:
        self.steps, self.seconds_each, self.done = steps, seconds_each, 0

    def step(self, what: str, seconds: float) -> None:
        """Announces a step that takes about `seconds`."""
        left = clock((self.steps - self.done) * self.seconds_each)
        self.done += 1
        say(f"[{self.done:3}/{self.steps}] {what} ({seconds:.0f} s); {left} left")
