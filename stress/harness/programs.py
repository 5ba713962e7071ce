"""wrk and k6, and the binaries of this repository."""

import os
import shutil
from pathlib import Path

from . import processes
from .console import Failure, say
from .paths import ROOT, TOOLS, ensure, shown, target

K6_VERSION = "v1.8.1"
K6_MODULE = f"go.k6.io/k6@{K6_VERSION}"


def wrk() -> Path:
    """The closed-loop client for full speed."""
    return found("wrk", "wrk")


def k6() -> Path:
    """The client for rates up to 1,000 a second; built here once if it is not there."""
    own = TOOLS / "k6"
    if own.exists():
        return own
    if other := shutil.which("k6"):
        return Path(other)
    go = shutil.which("go")
    if not go:
        raise Failure(f"k6 is missing: install Go and run this again, or `go install {K6_MODULE}`")
    say(f"installing k6 {K6_VERSION} into {shown(TOOLS)}, once; takes some minutes")
    processes.run("go install k6", [go, "install", K6_MODULE], 1800,
                  {"GOBIN": str(ensure(TOOLS))})
    return own


def found(name: str, package: str) -> Path:
    """A program of the system."""
    path = shutil.which(name) or shutil.which(name, path="/usr/sbin")
    if not path:
        raise Failure(f"{name} is missing: install it with `apt-get install {package}`")
    return Path(path)


def unpacked(name: str, package: str) -> Path:
    """A program of the system, or else of its Debian package, which is unpacked here and not
    installed: no service of it starts."""
    script = ROOT / "scripts" / "debian"
    return Path(processes.run(f"debian {name}", [script, name, package], 300).strip())


def build(binaries: list[str], examples: list[str], skip: bool) -> None:
    """Builds release binaries, or with `skip` makes sure that they are there."""
    if not skip:
        wanted = [part for name in binaries for part in ("--bin", name)]
        wanted += [part for name in examples for part in ("--example", name)]
        cargo = shutil.which("cargo")
        if not cargo:
            raise Failure("cargo is missing: install Rust from https://rustup.rs")
        say("building release binaries; the first time takes some minutes")
        processes.run("cargo build", [cargo, "build", "--release", "--manifest-path",
                                      ROOT / "Cargo.toml", *wanted], 7200)
    for path in [binary(name) for name in binaries] + [example(name) for name in examples]:
        if not os.access(path, os.X_OK):
            raise Failure(f"{shown(path)} is not built: leave --no-build out")


def binary(name: str) -> Path:
    """A release binary of the product."""
    return target() / "release" / name


def example(name: str) -> Path:
    """A release binary of the harness."""
    return target() / "release" / "examples" / name
