"""pgbench as a client: PostgreSQL without the store."""

import json
import re
from pathlib import Path

from tools.servers import process
from tools.servers.console import Failure
from tools.servers.downloads import need

from .clients import SLACK, Sample
from .paths import CACHE, STRESS, ensure
from .postgres_data import quoted

# The goals' number of clients; a thread for each of the two cores that pgbench may use.
CLIENTS, THREADS = 16, 2
_COLUMNS = ("game_name", "description", "release_date", "developer", "publisher", "tags")
_SELECT = """\
\\set id random(1, {rows})
SELECT game_id, {columns} FROM overviews WHERE game_id = :id;
"""


def select(rows: int) -> str:
    """One row by its key, with all the columns that the store reads."""
    return _SELECT.format(rows=rows, columns=", ".join(_COLUMNS))


def insert() -> str:
    """The game that the load's POST creates, each committed separately."""
    game = json.loads((STRESS / "bodies" / "post.json").read_text())
    tags = ", ".join(map(quoted, game["tags"]))
    values = [*[quoted(game[name]) for name in _COLUMNS[:-1]], f"ARRAY[{tags}]"]
    return f"INSERT INTO overviews ({', '.join(_COLUMNS)}) VALUES ({', '.join(values)});\n"


def checkout(first: int) -> str:
    """The store's own function with one order for each call, each order once. Refusals are errors.

    A client keeps its variables between transactions, so each client counts through its own orders.
    """
    return (f"\\set turn :turn + 1\n\\set id {first} + :turn * {CLIENTS} + :client_id\n"
            "SELECT 1 / (refused IS NULL)::integer "
            "FROM cart_checkout(ARRAY[:id::text], ARRAY[0::bigint]);\n")


def run(name: str, url: str, script: str, seconds: float, seed: int, *more: str) -> Sample:
    """Prepared statements over the goals' number of connections."""
    path = ensure(CACHE / "pgbench") / f"{name}.sql"
    path.write_text(script)
    length = max(1, round(seconds))
    output = process.run(f"pgbench {name}", [
        program(), "-n", "-M", "prepared", "-c", str(CLIENTS), "-j", str(THREADS),
        "-T", str(length), f"--random-seed={seed}", *more, "-f", path, url], length + SLACK)
    return parse(output, length)


def program() -> Path:
    """Debian's, which works with servers of any version."""
    return Path(need("pgbench", "postgresql-contrib"))


def parse(output: str, seconds: float) -> Sample:
    """The sample in pgbench's output, which has no percentiles without a log of every statement."""
    found = {name: re.search(pattern, output, re.MULTILINE) for name, pattern in (
        ("tps", r"^tps = ([\d.]+)"), ("mean", r"^latency average = ([\d.]+) ms"),
        ("done", r"^number of transactions actually processed: (\d+)"),
        ("failed", r"^number of failed transactions: (\d+)"))}
    if not found["tps"] or not found["done"]:
        raise Failure("pgbench printed no result")
    failed = int(found["failed"][1]) if found["failed"] else 0
    done = int(found["done"][1])
    return Sample("pgbench", seconds, float(found["tps"][1]), done + failed, done, 0,
                  {"failed": failed} if failed else {},
                  float(found["mean"][1]) if found["mean"] else 0.0, 0.0, 0.0, 0.0, 0.0)
