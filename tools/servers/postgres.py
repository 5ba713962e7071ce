"""PostgreSQL 18 from Maven Central, its streaming replica, and Debian's PostgreSQL 15."""

import os
import platform
import shutil
import subprocess
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

from .console import Failure, Missing, say, tail
from .downloads import copy_artifact, downloaded, need, readable_copy, run
from .process import Process, until
from .site import DEPLOY, Account, Site, account, claim, own_folder, remove
from .tls import certificates

VERSION = "18.6.0"
_GROUP = "io.zonky.test.postgres:embedded-postgres-binaries-linux"
_MACHINES = {"x86_64": "amd64", "aarch64": "arm64v8"}
_DEBIAN = Path("/usr/lib/postgresql/15/bin")
# A Unix socket's path may have 107 bytes; `/.s.PGSQL.12345.lock` follows the folder's.
_LONGEST = 85
_START_SECONDS = 60
_ROLES = """\
CREATE ROLE storefront LOGIN CREATEDB PASSWORD 'storefront';
CREATE DATABASE storefront OWNER storefront;
"""


def binaries_18(site: Site, owner: Account) -> Path:
    """The programs of PostgreSQL 18, where the account can run them."""
    machine = _MACHINES.get(platform.machine())
    if not machine:
        raise Missing(f"Maven Central has no PostgreSQL {VERSION} for {platform.machine()}.")

    def fetch(target: Path) -> None:
        copy_artifact(f"{_GROUP}-{machine}:{VERSION}", target.parent)
        with zipfile.ZipFile(next(target.parent.glob("*.jar"))) as jar:
            inner = next(name for name in jar.namelist() if name.endswith(".txz"))
            with jar.open(inner) as packed, tarfile.open(fileobj=packed, mode="r:xz") as archive:
                archive.extractall(target)
        target.chmod(0o755)

    folder = downloaded(site.dist, f"postgresql-{VERSION}", fetch)
    return readable_copy(folder, owner, "bin/postgres") / "bin"


def binaries_15(_site: Site, _owner: Account) -> Path:
    """The programs of Debian's PostgreSQL 15."""
    need(str(_DEBIAN / "postgres"), "postgresql-15")
    return _DEBIAN


class Postgres:
    """A primary server."""

    def __init__(self, site: Site, name: str, port: int,
                 binaries: Callable[[Site, Account], Path]) -> None:
        self.site, self.name, self.port = site, name, site.port(port)
        self.binaries = binaries
        self.link = site.folder / name

    @property
    def home(self) -> Path:
        """Its folder: data, log and socket."""
        return self.link.resolve()

    @property
    def data(self) -> Path:
        """PostgreSQL's data folder."""
        return self.home / "data"

    @property
    def log(self) -> Path:
        """PostgreSQL's own log."""
        return self.home / "log"

    @property
    def process(self) -> Process:
        """The postmaster, which keeps its own pid file."""
        return Process(self.name, self.data / "postmaster.pid", str(self.data))

    def known(self) -> bool:
        """Whether this set has it, running or stopped."""
        return self.name in self.site.settings

    def parts(self) -> list[str]:
        """It is one process, with no parts to be named."""
        return []

    def states(self) -> list[tuple[str, int | None]]:
        """Its name and its process."""
        return [(self.name, self.process.pid())]

    def lines(self) -> list[tuple[str, str]]:
        """How to reach it."""
        at = f"127.0.0.1:{self.port}"
        return [(self.name, f"postgres://storefront:storefront@{at}/storefront"),
                (f"{self.name}-admin", f"postgres://postgres:postgres@{at}/postgres"),
                (f"{self.name}-ca", str(self.site.folder / "tls" / "ca.pem"))]

    def up(self) -> None:
        """Makes it if it is not there, and starts it if it does not run."""
        need("psql", "postgresql")
        if not self.known():
            # What a call that did not come to its end may have left.
            self.down(keep=False)
            self.create()
            self.site.remember(self.name, {})
        self.start()

    def create(self) -> None:
        """Makes the data folder."""
        owner = account()
        own_folder(self.link, owner, _LONGEST)
        password = self.home / "password"
        password.write_text("postgres\n")
        password.chmod(0o644)
        self._program("initdb", "-D", self.data, "-U", "postgres", f"--pwfile={password}",
                      "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync",
                      "--auth-local=trust", "--auth-host=scram-sha-256")
        password.unlink()
        with (self.data / "postgresql.conf").open("a") as file:
            file.write("include 'storefront.conf'\ninclude 'local.conf'\n")
        self._launch()
        self.query(_ROLES)

    def start(self, *_parts: int) -> None:
        """Starts it and returns once it answers; does nothing if it runs."""
        if self.process.pid() is None:
            self._launch()
        if not until(self._answers, _START_SECONDS):
            raise self._failure()

    def stop(self, *_parts: int, kill: bool = False) -> None:
        """Ends it: by a fast shutdown, or at once, so that its next start is a crash recovery."""
        pid = self.process.pid()
        if pid is None:
            return
        mode = "immediate" if kill else "fast"
        self._program("pg_ctl", "-D", self.data, "-m", mode, "-w", "-t", "60", "stop")
        self.process.wait_for_end(pid, 10)

    def down(self, keep: bool) -> None:
        """Ends it and removes its data, or keeps them for the next `up`."""
        if self.link.exists():
            self.stop(kill=not keep)
        if not keep:
            remove(self.link)
            self.site.remember(self.name, None)

    def query(self, statements: str, database: str = "postgres") -> str:
        """What psql prints for some statements."""
        return run(["psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", self.home,
                    "-p", str(self.port), "-U", "postgres", "-d", database],
                   f"A statement on {self.name}", statements)

    def settings(self) -> str:
        """What only this server has in its configuration."""
        return "".join(f"{line}\n" for line in (
            "listen_addresses = '127.0.0.1'", f"port = {self.port}",
            f"unix_socket_directories = '{self.home}'", f"cluster_name = '{self.name}'",
            "ssl = on", "ssl_cert_file = 'server.pem'", "ssl_key_file = 'server.key'"))

    def _launch(self) -> None:
        claim("127.0.0.1", self.port, self.name)
        self._configure()
        # What a crash of the machine left may name a process that is another program's now.
        self.process.pid_file.unlink(missing_ok=True)
        say(f"starting {self.name}")
        try:
            self._program("pg_ctl", "-D", self.data, "-l", self.log, "-w",
                          "-t", str(_START_SECONDS), "start")
        except Failure:
            raise self._failure() from None

    def _configure(self) -> None:
        """Writes the configuration anew, so that a start uses what the repository has."""
        owner = account()
        tls = certificates(self.site.folder / "tls")
        shutil.copyfile(DEPLOY / "postgres" / "postgresql.conf", self.data / "storefront.conf")
        (self.data / "local.conf").write_text(self.settings())
        for name in ("server.pem", "server.key"):
            shutil.copyfile(tls / name, self.data / name)
        for name in ("storefront.conf", "local.conf", "server.pem", "server.key"):
            (self.data / name).chmod(0o600)
            if os.geteuid() == 0:
                os.chown(self.data / name, owner.uid, owner.gid)

    def _program(self, name: str, *arguments: str | Path) -> None:
        owner = account()
        program = self.binaries(self.site, owner) / name
        environment = {key: value for key, value in os.environ.items()
                       if not key.startswith(("PG", "LC_"))}
        # A file, not a pipe: the server inherits it from pg_ctl and would keep a pipe open.
        with open(self.home / f"{name}.log", "w+") as output:
            code = subprocess.run([str(program), *map(str, arguments)], cwd=self.home, check=False,
                                  env={**environment, "HOME": str(self.home)},
                                  stdin=subprocess.DEVNULL, stdout=output,
                                  stderr=subprocess.STDOUT, **owner.options()).returncode
        if code != 0:
            raise Failure(f"{name} of {self.name} failed.\n{tail(self.home / f'{name}.log')}")

    def _answers(self) -> bool:
        try:
            return self.query("SELECT 1").strip() == "1"
        except Failure:
            return False

    def _failure(self) -> Failure:
        return Failure(f"{self.name} did not start within {_START_SECONDS} s.\n{tail(self.log)}")


class Replica(Postgres):
    """A streaming replica of a primary, made by copying the primary's data folder at rest."""

    def __init__(self, primary: Postgres, name: str, port: int) -> None:
        super().__init__(primary.site, name, port, primary.binaries)
        self.primary = primary

    def create(self) -> None:
        """Stops the primary, copies its data and starts it again."""
        owner = account()
        self.primary.up()
        say(f"stopping {self.primary.name} for a moment, to copy its data")
        self.primary.stop()
        own_folder(self.link, owner, _LONGEST)
        run(["cp", "-a", "--reflink=auto", self.primary.data, self.data],
            f"Copying the data of {self.primary.name}")
        (self.data / "standby.signal").touch()
        self.primary.start()

    def up(self) -> None:
        """A replica's primary runs too."""
        self.primary.up()
        super().up()

    def settings(self) -> str:
        """It follows the primary over TCP, as one on another machine would."""
        source = (f"host=127.0.0.1 port={self.primary.port} user=postgres password=postgres "
                  f"sslmode=require application_name={self.name}")
        return super().settings() + f"primary_conninfo = '{source}'\n"

    def _answers(self) -> bool:
        """Where the primary runs, a replica is ready once it streams."""
        if not super()._answers():
            return False
        if self.primary.process.pid() is None:
            return True
        return self.query("SELECT status FROM pg_stat_wal_receiver").strip() == "streaming"
