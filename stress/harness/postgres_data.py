"""PostgreSQL: seeded databases as templates, and a copy of one for each run."""

from collections.abc import Iterator
from contextlib import contextmanager

from tools.servers.postgres import sql

from . import embedded_data, seeds
from .database_servers import DatabaseServers
from .paths import STORES, ensure
from .seeds import Games, Stamp

_RUN = "stress_run"
# The settings that determine its speed, and when a write counts as stored.
_SETTINGS = ("fsync", "synchronous_commit", "full_page_writes", "shared_buffers", "max_wal_size",
             "wal_compression", "checkpoint_timeout", "jit")


class Databases:
    """The databases of the running server."""

    def __init__(self, servers: DatabaseServers) -> None:
        found = servers.alone("postgres")
        self.admin = f"{found['postgres-admin']}?sslmode=disable"
        self.user = found["postgres"]
        # Here the server itself can write files.
        self.home = (servers.folder / "postgres").resolve()

    def url(self, database: str) -> str:
        """The address for the product. Without TLS, like that of all other clients."""
        return f"{self.user.rsplit('/', 1)[0]}/{database}?sslmode=disable"

    @contextmanager
    def working(self, games: Games) -> Iterator[tuple[str, Stamp]]:
        """A copy to write to, dropped afterwards; and how its original was seeded."""
        stamp = self._seeded(games)
        template = database(games)
        self.drop(_RUN)
        # Copied file by file and synced, so that nothing is written back during a measurement.
        sql(self.admin, f"CREATE DATABASE {_RUN} TEMPLATE {template} STRATEGY file_copy "
            "OWNER storefront", "CHECKPOINT")
        try:
            yield self.url(_RUN), stamp
        finally:
            self.drop(_RUN)

    @contextmanager
    def scratch(self, name: str) -> Iterator[str]:
        """The address of an empty database, dropped afterwards."""
        self.drop(name)
        sql(self.admin, f"CREATE DATABASE {name} OWNER storefront", "CHECKPOINT")
        try:
            yield self.url(name)
        finally:
            self.drop(name)

    def recipe(self) -> dict[str, object]:
        """Version and settings, from the server itself."""
        names = ", ".join(f"'{name}'" for name in _SETTINGS)
        lines = sql(self.admin, "SELECT name || ' ' || current_setting(name) FROM pg_settings "
                    f"WHERE name IN ({names}) ORDER BY name").splitlines()
        return {"version": "PostgreSQL " + sql(self.admin, "SHOW server_version"),
                "settings": ", ".join(lines), "connections": "TCP on loopback, no TLS",
                "writes": "on disk (fsync and synchronous_commit on) before they are answered"}

    def drop(self, name: str) -> None:
        """Drops a database, also while it is in use."""
        sql(self.admin, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def _seeded(self, games: Games) -> Stamp:
        """Creates the template, which refuses connections, so that its content never changes. It
        gets its name and its stamp only when it is complete."""
        name = database(games)
        if games.reseed:
            self.drop(name)
        said = sql(self.admin, "SELECT shobj_description(oid, 'pg_database') FROM pg_database "
                   f"WHERE datname = '{name}' AND NOT datallowconn")
        if said:
            return Stamp.of(said)
        embedded_data.need_space(ensure(STORES), games.rows * 2)
        part = f"{name}_part"
        seeds.announce(games, f"PostgreSQL's {name}")
        self.drop(name)
        with self.scratch(part) as url:
            stamp = seeds.fill(url, games)
            # Now, or it would happen during a measurement.
            sql(self.admin_of(part), "VACUUM (FREEZE, ANALYZE)", "CHECKPOINT")
            sql(self.admin, f"COMMENT ON DATABASE {part} IS {quoted(stamp.text())}",
                f"ALTER DATABASE {part} ALLOW_CONNECTIONS false",
                f"ALTER DATABASE {part} RENAME TO {name}")
        return stamp

    def admin_of(self, name: str) -> str:
        """The superuser's address of another database."""
        return self.admin.replace("/postgres?", f"/{name}?")


def database(games: Games) -> str:
    """Name of the template with these games."""
    return games.name.replace("-", "_")


def quoted(text: str) -> str:
    """A text as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"
