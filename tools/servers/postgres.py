"""PostgreSQL 18 from Maven Central, its streaming replica, and Debian's PostgreSQL 15."""

import os
import platform
import shutil
import subprocess
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

from .accounts import Account, own_folder, readable_copy, unprivileged
from .console import Failure, Missing, say, tail
from .downloads import copy_artifact, downloaded, need
from .process import Daemon, run, until
from .site import DEPLOY, Site, claim, remove
from .tls import certificates

VERSION = "18.6.0"
_GROUP = "io.zonky.test.postgres:embedded-postgres-binaries-linux"
_MACHINES = {"x86_64": "amd64", "aarch64": "arm64v8"}
_DEBIAN = Path("/usr/lib/postgresql/15/bin")
# The path of a Unix socket has at most 107 bytes, of which `/.s.PGSQL.12345.lock` takes a part.
_LONGEST = 85
_START_SECONDS = 60
_ROLE = "CREATE ROLE storefront LOGIN CREATEDB PASSWORD 'storefront'"
_DATABASE = "CREATE DATABASE storefront OWNER storefront"


def binaries_18(site: Site, owner: Account) -> Path:
    """The programs of PostgreSQL 18, in a folder where the account can run them."""
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

    folder = downloaded(site.downloads, f"postgresql-{VERSION}", fetch)
    return readable_copy(folder, owner, "bin/postgres") / "bin"


def binaries_15(_site: Site, _owner: Account) -> Path:
    """The programs of Debian's PostgreSQL 15."""
    need(str(_DEBIAN / "postgres"), "postgresql-15")
    return _DEBIAN


def sql(url: str, *statements: str, seconds: float = 3600) -> str:
    """What psql prints for some statements, each in its own transaction."""
    commands = [part for one in statements for part in ("-c", one)]
    return run("psql", [need("psql", "postgresql-client"), "-X", "-q", "-A", "-t",
                        "-v", "ON_ERROR_STOP=1", url, *commands], seconds).strip()


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
    def process(self) -> Daemon:
        """The postmaster, which writes its own pid file."""
        return Daemon(self.name, self.data / "postmaster.pid", str(self.data))

    def known(self) -> bool:
        """Whether it exists in this set, running or stopped."""
        return self.name in self.site.settings

    def parts(self) -> list[str]:
        """Names of its parts: none, it is one process."""
        return []

    def states(self) -> list[tuple[str, int | None]]:
        """Its name and its process id."""
        return [(self.name, self.process.pid())]

    def lines(self) -> list[tuple[str, str]]:
        """How to reach it: names and values."""
        at = f"127.0.0.1:{self.port}"
        return [(self.name, f"postgres://storefront:storefront@{at}/storefront"),
                (f"{self.name}-admin", f"postgres://postgres:postgres@{at}/postgres"),
                (f"{self.name}-ca", str(self.site.folder / "tls" / "ca.pem"))]

    def up(self) -> None:
        """Creates it if it does not exist, and starts it if it does not run."""
        if not self.known():
            # Removes what an interrupted call may have left.
            self.down(keep=False)
            self.create()
            self.site.remember(self.name, {})
        self.start()

    def create(self) -> None:
        """Creates the data folder."""
        own_folder(self.link, unprivileged(), _LONGEST)
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
        self.query(_ROLE, _DATABASE)

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

    def query(self, *statements: str) -> str:
        """What psql prints for statements of the superuser, over the Unix socket."""
        host = quote(str(self.home), safe="")
        return sql(f"postgresql:///postgres?host={host}&port={self.port}&user=postgres",
                   *statements)

    def settings(self) -> str:
        """The configuration that is specific to this server."""
        return "".join(f"{line}\n" for line in (
            "listen_addresses = '127.0.0.1'", f"port = {self.port}",
            f"unix_socket_directories = '{self.home}'", f"cluster_name = '{self.name}'",
            "ssl = on", "ssl_cert_file = 'server.pem'", "ssl_key_file = 'server.key'"))

    def _launch(self) -> None:
        claim("127.0.0.1", self.port, self.name)
        self._configure()
        # After a crash of the machine its process id may belong to another program, and PostgreSQL
        # would refuse to start.
        self.process.pid_file.unlink(missing_ok=True)
        say(f"starting {self.name}")
        try:
            self._program("pg_ctl", "-D", self.data, "-l", self.log, "-w",
                          "-t", str(_START_SECONDS), "start")
        except Failure:
            raise self._failure() from None

    def _configure(self) -> None:
        """Writes the configuration again, so that a start uses that of the repository."""
        owner = unprivileged()
        tls = certificates(self.site.folder / "tls")
        shutil.copyfile(DEPLOY / "postgres" / "postgresql.conf", self.data / "storefront.conf")
        (self.data / "local.conf").write_text(self.settings())
        for name in ("server.pem", "server.key"):
            shutil.copyfile(tls / name, self.data / name)
        for name in ("storefront.conf", "local.conf", "server.pem", "server.key"):
            (self.data / name).chmod(0o600)
            owner.own(self.data / name)

    def _program(self, name: str, *arguments: str | Path) -> None:
        owner = unprivileged()
        program = self.binaries(self.site, owner) / name
        environment = {key: value for key, value in os.environ.items()
                       if not key.startswith(("PG", "LC_"))}
        # A file, not a pipe: the server inherits the pipe from pg_ctl and would keep it open.
        with open(self.home / f"{name}.log", "w+") as output:
            code = subprocess.run([str(program), *map(str, arguments)], cwd=self.home, check=False,
                                  env={**environment, "HOME": str(self.home)},
                                  stdin=subprocess.DEVNULL, stdout=output,
                                  stderr=subprocess.STDOUT, **owner.options()).returncode
        if code != 0:
            raise Failure(f"{name} of {self.name} failed.\n{tail(self.home / f'{name}.log')}")

    def _answers(self) -> bool:
        try:
            return self.query("SELECT 1") == "1"
        except Failure:
            return False

    def _failure(self) -> Failure:
        return Failure(f"{self.name} did not start within {_START_SECONDS} s.\n{tail(self.log)}")


class Replica(Postgres):
    """A streaming replica, created from the data folder of the stopped primary."""

    def __init__(self, primary: Postgres, name: str, port: int) -> None:
        super().__init__(primary.site, name, port, primary.binaries)
        self.primary = primary

    def create(self) -> None:
        """Stops the primary, copies its data and starts it again."""
        self.primary.up()
        say(f"stopping {self.primary.name} while its data are copied")
        self.primary.stop()
        own_folder(self.link, unprivileged(), _LONGEST)
        run(f"copying the data of {self.primary.name}",
            ["cp", "-a", "--reflink=auto", self.primary.data, self.data])
        (self.data / "standby.signal").touch()
        self.primary.start()

    def up(self) -> None:
        """Starts the primary too."""
        self.primary.up()
        super().up()

    def settings(self) -> str:
        """It follows the primary over TCP, like a replica on another machine."""
        source = (f"host=127.0.0.1 port={self.primary.port} user=postgres password=postgres "
                  f"sslmode=require application_name={self.name}")
        return super().settings() + f"primary_conninfo = '{source}'\n"

    def _answers(self) -> bool:
        """While the primary runs, a replica is ready once it streams."""
        if not super()._answers():
            return False
        if self.primary.process.pid() is None:
            return True
        return self.query("SELECT status FROM pg_stat_wal_receiver") == "streaming"
