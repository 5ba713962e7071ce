"""PostgreSQL 18 from Maven Central, and Debian's PostgreSQL 15."""

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
from .daemon import Daemon
from .downloads import copy_artifact, downloaded, need
from .process import run
from .server import SingleServer
from .site import DEPLOY, Site, claim
from .tls import certificates

VERSION = "18.6.0"
_GROUP = "io.zonky.test.postgres:embedded-postgres-binaries-linux"
_MACHINES = {"x86_64": "amd64", "aarch64": "arm64v8"}
_DEBIAN = Path("/usr/lib/postgresql/15/bin")
# The path of a Unix socket has at most 107 bytes, of which `/.s.PGSQL.12345.lock` takes a part.
LONGEST = 85
# A shutdown waits up to a minute for a replica that stands still, to which it owes its last log.
_STOP_SECONDS = 90
_SETTINGS = DEPLOY / "postgres"
# From the smallest. A replica must have as many connections as its primary, or more.
SIZES = ["small", "medium", "large"]
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


class Postgres(SingleServer):
    """A primary server."""

    kind = "postgres"
    start_seconds = 60

    def __init__(self, site: Site, name: str, port: int,
                 binaries: Callable[[Site, Account], Path]) -> None:
        super().__init__(site, name, port)
        self.binaries = binaries
        # The size of the settings of its last start; None: postgresql.conf alone.
        self.size: str | None = site.settings.get(name, {}).get("size")
        self.replicas: list[Postgres] = []

    @property
    def home(self) -> Path:
        """The real path of its folder: data, log and socket."""
        return self.folder.resolve()

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

    def lines(self) -> list[tuple[str, str]]:
        """How to reach it: names and values."""
        at = f"{self.address}:{self.port}"
        return [(self.name, f"postgres://storefront:storefront@{at}/storefront"),
                (f"{self.name}-admin", f"postgres://postgres:postgres@{at}/postgres"),
                (f"{self.name}-ca", str(self.site.folder / "tls" / "ca.pem"))]

    def up(self, size: str | None = None) -> None:
        """Creates it if it does not exist, starts it if it does not run, and gives it a size."""
        if not self.known():
            self.size = size
        super().up()
        if size:
            self.resize(size)

    def remember(self) -> None:
        """Stores that it exists, and its size."""
        self.site.remember(self.name, {"size": self.size} if self.size else {})

    def resize(self, size: str) -> None:
        """Gives it and its replicas the settings of a size, by a restart where they have others.

        However this is interrupted, no replica has fewer connections than its primary.
        """
        replicas = [replica for replica in self.replicas if replica.known()]
        for server in (self, *replicas):
            server.start()
        if self.size is None or SIZES.index(size) <= SIZES.index(self.size):
            self.restart(size)
            for replica in replicas:
                replica.restart(size)
        else:
            for replica in replicas:
                replica.restart(size)
            self.restart(size)
        for replica in replicas:
            replica.start()

    def restart(self, size: str) -> None:
        """Restarts it with the settings of a size, unless it has them."""
        if size != self.size:
            self.stop()
            self.size = size
            self.remember()
            self.start()

    def create(self) -> None:
        """Creates the data folder."""
        own_folder(self.folder, unprivileged(), LONGEST)
        password = self.home / "password"
        password.write_text("postgres\n")
        password.chmod(0o644)
        self._program("initdb", "-D", self.data, "-U", "postgres", f"--pwfile={password}",
                      "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync",
                      "--auth-local=trust", "--auth-host=scram-sha-256")
        password.unlink()
        with (self.data / "postgresql.conf").open("a") as file:
            file.write("include 'storefront.conf'\ninclude 'local.conf'\n")
        self.launch()
        self.query(_ROLE, _DATABASE)

    def stop(self, *_numbers: int, kill: bool = False) -> None:
        """Ends it: by a fast shutdown, or at once, so that its next start is a crash recovery."""
        pid = self.process.pid()
        if pid is None:
            return
        self.resume()
        mode = "immediate" if kill else "fast"
        self._program("pg_ctl", "-D", self.data, "-m", mode, "-w", "-t", str(_STOP_SECONDS),
                      "stop")
        self.process.wait_for_end(pid, 10)

    def query(self, *statements: str) -> str:
        """What psql prints for statements of the superuser, over the Unix socket."""
        host = quote(str(self.home), safe="")
        return sql(f"postgresql:///postgres?host={host}&port={self.port}&user=postgres",
                   *statements)

    def settings(self) -> str:
        """The configuration that is specific to this server: its size, addresses and TLS."""
        size = (_SETTINGS / f"size-{self.size}.conf").read_text() if self.size else ""
        return size + "".join(f"{line}\n" for line in (
            f"listen_addresses = '{self.address}'", f"port = {self.port}",
            f"unix_socket_directories = '{self.home}'", f"cluster_name = '{self.name}'",
            "ssl = on", "ssl_cert_file = 'server.pem'", "ssl_key_file = 'server.key'"))

    def launch(self) -> None:
        """Starts its process."""
        claim(self.address, self.port, self.name)
        self._configure()
        # After a crash of the machine its process id may belong to another program, and PostgreSQL
        # would refuse to start.
        self.process.pid_file.unlink(missing_ok=True)
        say(f"starting {self.name}")
        try:
            self._program("pg_ctl", "-D", self.data, "-l", self.log, "-w",
                          "-t", str(self.start_seconds), "start")
        except Failure:
            raise self.failure() from None

    def _configure(self) -> None:
        """Writes the configuration again, so that a start uses that of the repository."""
        owner = unprivileged()
        tls = certificates(self.site.folder / "tls")
        shutil.copyfile(_SETTINGS / "postgresql.conf", self.data / "storefront.conf")
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

    def answers(self) -> bool:
        """Whether it answers a query."""
        try:
            return self.query("SELECT 1") == "1"
        except Failure:
            return False

    def failure(self) -> Failure:
        """Why it does not answer."""
        return Failure(f"{self.name} did not start within {self.start_seconds} s.\n"
                       f"{tail(self.log)}")
