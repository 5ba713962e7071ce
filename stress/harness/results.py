"""Folders and names of results, and the recipes at their ends."""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

from . import backends, paths, tables


def add_flags(parser: argparse.ArgumentParser, quick: bool = True) -> None:
    """The flags of a script that measures several backends."""
    parser.add_argument("--no-build", action="store_true", help="use the existing binaries")
    add_out(parser)
    if quick:
        parser.add_argument("--quick", action="store_true",
                            help="to see that it works; not for quoting, and not in stress/results")


def add_out(parser: argparse.ArgumentParser) -> None:
    """The flag for the folder of results, for a script that builds nothing."""
    parser.add_argument("--out", type=Path, metavar="DIR", help="for the results [stress/results]")
    parser.set_defaults(quick=False)


def folder(args: argparse.Namespace) -> Path:
    """The folder that the flags select."""
    out: Path | None = args.out
    return out or (paths.TRIALS if args.quick else paths.RESULTS)


def name(recipe: dict[str, object], what: str, wanted: Sequence[str]) -> str:
    """The name of a result: date, time, what was measured, and the backends."""
    called = "all" if len(wanted) == len(backends.NAMES) else "-".join(wanted)
    return tables.dated(recipe, f"{what}-{called}")


def recipes(recipe: dict[str, object], databases: Mapping[str, dict[str, object]]) -> list[str]:
    """The last part of a page: the recipe of the measurement and of each database."""
    return ["## Recipe", tables.recipe_table(recipe),
            *[text for dbms, found in databases.items() if found
              for text in (f"### {dbms}", tables.recipe_table(found))]]
