"""Progress lines of a measurement."""

from tools.servers.console import say


def clock(seconds: float) -> str:
    """A duration in words: `40 s`, `about 3 min`."""
    return f"{seconds:.0f} s" if seconds < 90 else f"about {seconds / 60:.0f} min"


class Progress:
    """Counts steps; announces each, with the time that all the remaining ones take."""

    def __init__(self, steps: int, seconds_each: float) -> None:
        self.steps, self.seconds_each, self.done = steps, seconds_each, 0

    def step(self, what: str, seconds: float) -> None:
        """Announces a step that takes about `seconds`."""
        left = clock((self.steps - self.done) * self.seconds_each)
        self.done += 1
        say(f"[{self.done:3}/{self.steps}] {what} ({seconds:.0f} s); {left} left")
