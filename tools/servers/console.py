"""Lines about the work, and the failures that a user has to know."""

import sys
from pathlib import Path


class Failure(Exception):
    """Something that the user can put right; the text says what failed and what to do."""

    code = 1


class Usage(Failure):
    """The command line asks for something that does not exist."""

    code = 64


class Missing(Failure):
    """A program that is needed is not on this machine."""

    code = 69


def say(line: str) -> None:
    """A line about the work; standard output is for results only."""
    print(line, file=sys.stderr, flush=True)


def tail(*logs: Path, lines: int = 15) -> str:
    """The last lines of each log that is not empty, below its name."""
    parts = []
    for log in logs:
        words = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
        if words:
            parts.append("\n".join([f"-- the end of {log}:", *words[-lines:]]))
    return "\n".join(parts) or "-- it wrote no log"
