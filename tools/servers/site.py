"""A set of servers: its folder, ports and settings; and the downloads shared by all sets."""

import contextlib
import fcntl
import json
import os
import shutil
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .console import Failure, Usage, say
from .process import until

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache" / "servers"
DOWNLOADS = CACHE / "dist"
DEPLOY = ROOT / "deploy"
# Each set of servers has a hundred ports from its base; the help text says what each is for.
PORT_BASE = 15400
_SETTINGS = "servers.json"


@dataclass
class Site:
    """One set of servers: a folder, a range of ports, and the settings of their first start."""

    folder: Path
    downloads: Path
    port_base: int
    settings: dict[str, Any]

    def port(self, offset: int) -> int:
        """A port of this set."""
        return self.port_base + offset

    def remember(self, name: str, value: Any) -> None:
        """Stores a server's settings for the next call; None removes them."""
        if value is None:
            self.settings.pop(name, None)
        else:
            self.settings[name] = value
        self.settings["port_base"] = self.port_base
        text = json.dumps(self.settings, indent=2)
        (self.folder / _SETTINGS).write_text(text + "\n")

    def remove_if_unused(self) -> None:
        """Removes the files that the servers share, once no server is left."""
        if set(self.settings) <= {"port_base"}:
            remove(self.folder / "tls")
            (self.folder / _SETTINGS).unlink(missing_ok=True)
            with contextlib.suppress(OSError):
                self.folder.rmdir()


@contextlib.contextmanager
def opened(folder: Path, downloads: Path, port_base: int | None, create: bool
           ) -> Iterator[Site | None]:
    """The set of servers in a folder, locked against other calls; None if there is none."""
    folder, downloads = folder.resolve(), downloads.resolve()
    if create:
        folder.mkdir(parents=True, exist_ok=True)
    elif not (folder / _SETTINGS).exists():
        yield None
        return
    with locked(folder):
        yield _site(folder, downloads, port_base)


def _site(folder: Path, downloads: Path, port_base: int | None) -> Site:
    file = folder / _SETTINGS
    settings = json.loads(file.read_text()) if file.exists() else {}
    if not settings and folder.exists() and any(folder.iterdir()):
        raise Usage(f"{folder} has files that are not of scripts/servers: name another folder by "
                    "--dir.")
    known = settings.get("port_base", port_base or PORT_BASE)
    if port_base not in (None, known):
        raise Usage(f"The servers of {folder} have the port base {known}: "
                    f"leave --port-base out, or name another --dir for other servers.")
    return Site(folder, downloads, known, settings)


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Locks a folder, so that a second call waits for the first to end."""
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder, os.O_RDONLY)
        try:
            _lock(handle, folder)
            # The call before this one may have removed the folder while this one waited.
            if folder.exists() and os.path.samestat(os.fstat(handle), folder.stat()):
                yield
                return
        finally:
            os.close(handle)


def _lock(handle: int, folder: Path) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        say(f"waiting for another call that uses {folder}")
        fcntl.flock(handle, fcntl.LOCK_EX)


def remove(path: Path) -> None:
    """Removes a folder, and where it is a link to one, both."""
    if path.is_symlink():
        shutil.rmtree(path.resolve(), ignore_errors=True)
        path.unlink()
    elif path.exists():
        shutil.rmtree(path)


def claim(address: str, port: int, name: str) -> None:
    """Fails if another program listens on a port. Retries for a while, in case it is ending."""
    if not until(lambda: _is_free(address, port), 3):
        raise Failure(f"{name} cannot have {address}:{port}, another program listens there: name "
                      "other ports by --port-base, or end that program.")


def _is_free(address: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError:
            return False
    return True


def free_port() -> int:
    """A port of 127.0.0.1 that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
