"""What `storefront seed` is to store, and the stamp of what it stored."""

import argparse
import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path

from tools.servers.console import Failure, say
from tools.servers.process import run

from . import machine, paths, programs

# The lowest speed for which the timeout of a load allows, in rows a second.
SLOWEST = 2_000


def add_flags(parser: argparse.ArgumentParser) -> None:
    """The flags for the games of the stores, except their number."""
    parser.add_argument("--seed", type=int, default=1, help="of the games and the random ids [1]")
    parser.add_argument("--reseed", action="store_true", help="seed the stores again")


@dataclass(frozen=True)
class Games:
    """The games of a store: 1 to `rows`, of the generator's `seed`."""

    rows: int
    seed: int
    # Create them again even if they exist.
    reseed: bool = False

    @property
    def name(self) -> str:
        """Name of the files and databases with these games."""
        return f"games-{self.rows}-seed-{self.seed}"


@dataclass(frozen=True)
class Stamp:
    """The result of a load. It is stored together with the data, so it is removed with them."""

    rows: int
    seed: int
    # Of all games as they were read back: the same on all backends.
    checksum: str
    # From the first game to the durable end of the load, by the program's clock.
    seconds: float
    commit: str

    def text(self) -> str:
        """One line of JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def of(cls, text: str) -> "Stamp":
        """Reads what `text` wrote."""
        return cls(**json.loads(text))


def fill(url: str, games: Games) -> Stamp:
    """Loads an empty store, reads all of it back, and fails unless every game is there."""
    output = run("storefront seed", [
        programs.binary("storefront"), "seed", "--rows", str(games.rows), "--seed", str(games.seed),
        "--checksum", "--database-url", url], 120 + 2 * games.rows / SLOWEST)
    stamp = parse(output, games)
    agree(games, stamp)
    return stamp


def parse(output: str, games: Games) -> Stamp:
    """The stamp in the output of `storefront seed --checksum`."""
    stored = re.search(r"^(\d+) games in ([\d.]+) s", output, re.MULTILINE)
    found = re.search(r"^checksum (\w+) of (\d+) games", output, re.MULTILINE)
    if not stored or not found:
        raise Failure("storefront seed did not print the number of games and their checksum")
    if (int(stored[1]), int(found[2])) != (games.rows, games.rows):
        raise Failure(f"of {games.rows} games {stored[1]} were stored and {found[2]} read back")
    return Stamp(games.rows, games.seed, found[1], float(stored[2]), machine.commit())


def agree(games: Games, stamp: Stamp) -> None:
    """Fails if another backend has other games under the same name."""
    path = paths.ensure(paths.STORES) / f"{games.name}.checksum"
    if path.exists() and path.read_text().strip() != stamp.checksum and not games.reseed:
        raise Failure(f"{games.name} has the checksum {stamp.checksum}, but another backend's has "
                      f"{path.read_text().strip()}: one is of an older generator, use --reseed")
    path.write_text(stamp.checksum + "\n")


def announce(games: Games, where: str) -> None:
    """Announces a load, which takes a while."""
    say(f"seeding {games.rows:,} games into {where}, once")


def kept(path: Path) -> Stamp | None:
    """The stamp in a file."""
    return Stamp.of(path.read_text()) if path.exists() else None
