"""Folders of the harness, and the addresses that load may go to."""

import ipaddress
import os
from pathlib import Path
from urllib.parse import urlsplit

from tools.servers.console import Failure
from tools.servers.site import ROOT

STRESS = ROOT / "stress"
RESULTS = STRESS / "results"
# Git-ignored, as all of .cache is.
CACHE = ROOT / ".cache" / "stress"
TOOLS = CACHE / "bin"
STORES = CACHE / "stores"
LOGS = CACHE / "logs"
TRIALS = CACHE / "results"


def target() -> Path:
    """Cargo's output folder."""
    return Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target")


def ensure(folder: Path) -> Path:
    """The folder, created if it is not there."""
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def shown(path: Path) -> str:
    """The path as written in a result: relative to the repository, else its last part."""
    path = path.resolve()
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else path.name


def loopback(base: str, flag: str = "--base") -> str:
    """The base address without a trailing slash; fails unless it is on this machine."""
    parts = urlsplit(base)
    host = parts.hostname or ""
    try:
        local = host == "localhost" or ipaddress.ip_address(host).is_loopback
        port = parts.port
    except ValueError:
        local, port = False, None
    if parts.scheme != "http" or not local or port is None:
        raise Failure(f"{flag} {base} is not on this machine: write it as http://127.0.0.1:PORT")
    return base.rstrip("/")
