"""The folder of one set of servers, its ports, and the folder that all sets share."""

import contextlib
import fcntl
import json
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .console import Failure, Usage, say
from .process import until

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache" / "servers"
DEPLOY = ROOT / "deploy"
# Each set of servers has a hundred ports from its base on; which is whose stands in the help text.
PORT_BASE = 15400
_SETTINGS = "servers.json"


@dataclass
class Site:
    """One set of servers: a folder, a range of ports, and what was decided at their first start."""

    folder: Path
    dist: Path
    port_base: int
    settings: dict[str, Any]

    def port(self, offset: int) -> int:
        """A port of this set."""
        return self.port_base + offset

    def remember(self, name: str, value: Any) -> None:
        """Writes down a setting of a server for the next call; None forgets it."""
        if value is None:
            self.settings.pop(name, None)
        else:
            self.settings[name] = value
        self.settings["port_base"] = self.port_base
        text = json.dumps(self.settings, indent=2)
        (self.folder / _SETTINGS).write_text(text + "\n")

    def leave(self) -> None:
        """Removes what belongs to no single server, once no server is left."""
        if set(self.settings) <= {"port_base"}:
            remove(self.folder / "tls")
            (self.folder / _SETTINGS).unlink(missing_ok=True)
            with contextlib.suppress(OSError):
                self.folder.rmdir()


@contextlib.contextmanager
def opened(folder: Path, dist: Path, port_base: int | None, create: bool) -> Iterator[Site | None]:
    """The set of servers in a folder, held against other calls meanwhile; None if there is none."""
    folder, dist = folder.resolve(), dist.resolve()
    if create:
        folder.mkdir(parents=True, exist_ok=True)
    elif not (folder / _SETTINGS).exists():
        yield None
        return
    with locked(folder):
        yield _site(folder, dist, port_base)


def _site(folder: Path, dist: Path, port_base: int | None) -> Site:
    file = folder / _SETTINGS
    settings = json.loads(file.read_text()) if file.exists() else {}
    if not settings and folder.exists() and any(folder.iterdir()):
        raise Usage(f"{folder} has files of somebody else: name another folder by --dir.")
    known = settings.get("port_base", port_base or PORT_BASE)
    if port_base not in (None, known):
        raise Usage(f"The servers of {folder} have the port base {known}: "
                    f"leave --port-base out, or name another --dir for other servers.")
    return Site(folder, dist, known, settings)


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Holds a folder; a second call waits for the first."""
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder, os.O_RDONLY)
        try:
            _wait_for(handle, folder)
            # The call before may have removed the folder that this one waited for.
            if folder.exists() and os.path.samestat(os.fstat(handle), folder.stat()):
                yield
                return
        finally:
            os.close(handle)


def _wait_for(handle: int, folder: Path) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        say(f"waiting for another call that works in {folder}")
        fcntl.flock(handle, fcntl.LOCK_EX)


@dataclass(frozen=True)
class Account:
    """Whose processes and files the servers that refuse root are."""

    name: str
    uid: int
    gid: int

    def options(self) -> dict[str, Any]:
        """Arguments of subprocess.run that make a process this account's."""
        if os.geteuid() != 0:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def can(self, test: str, path: Path) -> bool:
        """Whether `test -r`, `-w` or `-x` of a path holds for this account."""
        return subprocess.run(["test", f"-{test}", str(path)], cwd="/", check=False,
                              **self.options()).returncode == 0


def account() -> Account:
    """This user, or for root an unprivileged one."""
    entries = {entry.pw_name: entry for entry in pwd.getpwall()}
    names = ["postgres", "nobody"] if os.geteuid() == 0 else [pwd.getpwuid(os.geteuid()).pw_name]
    found = next((entries[name] for name in names if name in entries), None)
    if not found:
        raise Failure("PostgreSQL refuses to run as root, and here is no user postgres or nobody.")
    return Account(found.pw_name, found.pw_uid, found.pw_gid)


def own_folder(path: Path, owner: Account, longest: int) -> Path:
    """Makes a folder that the account owns and can enter, and returns where it really is.

    Where the account cannot enter a parent, or the path is longer than `longest` (that of a Unix
    socket has a limit), it is a folder under $TMPDIR, and `path` a link to it.
    """
    if path.exists():
        return path.resolve()
    path.unlink(missing_ok=True)
    if owner.can("x", path.parent) and len(str(path)) <= longest:
        path.mkdir(mode=0o700)
    else:
        path.symlink_to(tempfile.mkdtemp(prefix="storefront-servers-"))
    if os.geteuid() == 0:
        os.chown(path, owner.uid, owner.gid)
    return path.resolve()


def remove(path: Path) -> None:
    """Removes a folder, and where it is a link to one, both."""
    if path.is_symlink():
        shutil.rmtree(path.resolve(), ignore_errors=True)
        path.unlink()
    elif path.exists():
        shutil.rmtree(path)


def claim(address: str, port: int, whose: str) -> None:
    """Refuses a port that something else listens on, after some patience if it is ending."""
    if not until(lambda: _is_free(address, port), 3):
        raise Failure(f"{whose} cannot have {address}:{port}, something else listens there: name "
                      "other ports by --port-base, or end what has it.")


def _is_free(address: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError:
            return False
    return True
