"""What the script says while it works, and the ways it can end badly."""

import sys
from pathlib import Path


class Failure(Exception):
    """Something that the user has to know; its text is a whole sentence, or several."""

    code = 1


class Usage(Failure):
    """The command line asks for something that there is not."""

    code = 64


class Missing(Failure):
    """A program that this script needs is not on this machine."""

    code = 69


def say(line: str) -> None:
    """A line about the work; results alone go to standard output."""
    print(line, file=sys.stderr, flush=True)


def tail(*logs: Path, lines: int = 15) -> str:
    """The last words of each log that has any, below its name."""
    parts = []
    for log in logs:
        words = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
        if words:
            parts.append("\n".join([f"-- the end of {log}:", *words[-lines:]]))
    return "\n".join(parts) or "-- it wrote no log"
