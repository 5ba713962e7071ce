"""The database file that a measurement runs on: seeded once, copied for each run."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tools.servers.console import Failure

from . import seeds
from .paths import STORES, ensure, shown
from .seeds import Games

# With indexes, rounded up; a check of free space only.
BYTES_A_ROW = 800
_SUFFIXES = ("", "-wal", "-shm", "-journal")


def seeded(games: Games) -> Path:
    """A file with these games that no measurement writes to; its stamp is next to it."""
    path = ensure(STORES) / f"{games.name}.db"
    if games.reseed:
        remove(path)
    if not path.exists():
        need_space(STORES, games.rows * 2)
        seeds.announce(games, shown(path))
        # It has another name until it is complete.
        part = path.with_suffix(".part")
        remove(part)
        try:
            stamp = seeds.fill(f"embedded:{part}", games)
            path.with_suffix(".json").write_text(stamp.text() + "\n")
            for suffix in _SUFFIXES[1:]:
                if Path(f"{part}{suffix}").exists():
                    os.replace(f"{part}{suffix}", f"{path}{suffix}")
            os.replace(part, path)
        finally:
            remove(part)
    return path


@contextmanager
def scratch() -> Iterator[Path]:
    """The path of a file that is removed afterwards."""
    path = ensure(STORES) / f"run-{os.getpid()}.db"
    remove(path)
    try:
        yield path
    finally:
        remove(path)


@contextmanager
def working_copy(template: Path) -> Iterator[Path]:
    """A copy to write to, removed afterwards."""
    size = template.stat().st_size
    if size > shutil.disk_usage(ensure(STORES)).free * 0.5:
        raise Failure(f"too little disk for a copy of {shown(template)}: use a smaller --rows")
    with scratch() as path:
        for suffix in _SUFFIXES[:2]:
            if Path(f"{template}{suffix}").exists():
                _copy(Path(f"{template}{suffix}"), Path(f"{path}{suffix}"))
        yield path


def _copy(source: Path, copy: Path) -> None:
    shutil.copyfile(source, copy)
    with copy.open("rb") as file:
        # Or it would be written back during the first measurement.
        os.fsync(file.fileno())


def need_space(folder: Path, rows: int) -> None:
    """Fails if the disk has too little space for so many rows."""
    free = shutil.disk_usage(folder).free
    if rows * BYTES_A_ROW > free:
        raise Failure(f"{rows:,} rows need {rows * BYTES_A_ROW / 1e9:.0f} GB and "
                      f"{free / 1e9:.0f} GB are free: use a smaller --rows")


def remove(path: Path) -> None:
    """Removes a database file and SQLite's files next to it."""
    for suffix in _SUFFIXES:
        Path(f"{path}{suffix}").unlink(missing_ok=True)
