"""wrk and k6, and the binaries of this repository."""

import os
import shutil
from pathlib import Path

from tools.servers.console import Failure, say
from tools.servers.downloads import need
from tools.servers.process import run
from tools.servers.site import ROOT

from .paths import TOOLS, ensure, shown, target

K6_VERSION = "v1.8.1"
K6_MODULE = f"go.k6.io/k6@{K6_VERSION}"


def wrk() -> Path:
    """The closed-loop client for full speed."""
    return Path(need("wrk", "wrk"))


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
    run("go install k6", [go, "install", K6_MODULE],
        env={**os.environ, "GOBIN": str(ensure(TOOLS))})
    return own


def build(binaries: list[str], examples: list[str], skip: bool) -> None:
    """Builds release binaries, or with `skip` makes sure that they are there."""
    if not skip:
        wanted = [part for name in binaries for part in ("--bin", name)]
        wanted += [part for name in examples for part in ("--example", name)]
        cargo = shutil.which("cargo")
        if not cargo:
            raise Failure("cargo is missing: install Rust from https://rustup.rs")
        say("building release binaries; the first time takes some minutes")
        run("cargo build", [cargo, "build", "--release", "--manifest-path", ROOT / "Cargo.toml",
                            *wanted], 7200)
    for path in [binary(name) for name in binaries] + [example(name) for name in examples]:
        if not os.access(path, os.X_OK):
            raise Failure(f"{shown(path)} is not built: leave --no-build out")


def binary(name: str) -> Path:
    """A release binary of the product."""
    return target() / "release" / name


def example(name: str) -> Path:
    """A release binary of the harness."""
    return target() / "release" / "examples" / name
