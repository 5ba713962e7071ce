"""Programs of this machine that are needed, and archives from Maven Central."""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from .console import Failure, Missing, say
from .process import run
from .site import ROOT, locked

_COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1"
# Java 23 is the newest in which Cassandra 5.0 can still enable its security manager.
_JAVA = range(17, 24)


def need(command: str, package: str) -> str:
    """The path of a program. If it is missing, root installs its package; others get a failure."""
    found = shutil.which(command)
    if not found and _can_install():
        _install(package)
        found = shutil.which(command)
    if not found:
        raise Missing(f"{Path(command).name} is missing: install the package {package} and run "
                      "this again.")
    return found


def unpacked(command: str, package: str) -> Path:
    """The path of a program, by its Debian package if it is missing: unpacked, not installed, so
    that no service of the package starts."""
    script = ROOT / "scripts" / "debian"
    return Path(run(f"scripts/debian {command}", [script, command, package]).strip())


def _can_install() -> bool:
    return os.geteuid() == 0 and shutil.which("apt-get") is not None


def _install(package: str) -> None:
    say(f"installing {package}")
    # Debian's PostgreSQL would create and start a cluster.
    cluster = Path("/etc/postgresql-common/createcluster.conf")
    if package.startswith("postgresql") and not cluster.exists():
        cluster.parent.mkdir(exist_ok=True)
        cluster.write_text("create_main_cluster = false\n")
    install = ["apt-get", "install", "-y", "--no-install-recommends",
               "-o", "Dpkg::Options::=--force-confold", package]
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    try:
        run(f"installing {package}", install, env=environment)
    except Failure:
        # The package lists may be missing or outdated.
        run("apt-get update", ["apt-get", "update"], env=environment)
        run(f"installing {package}", install, env=environment)


def java() -> str:
    """A Java that Cassandra runs on."""
    home = os.environ.get("JAVA_HOME")
    names = [f"{home}/bin/java"] if home else []
    names += ["java", *map(str, sorted(Path("/usr/lib/jvm").glob("java-*/bin/java")))]
    for name in names:
        if (found := shutil.which(name)) and _java_version(found) in _JAVA:
            return found
    if _can_install():
        _install("openjdk-17-jre-headless")
        for path in Path("/usr/lib/jvm").glob("java-17-*/bin/java"):
            return str(path)
    raise Missing("Java 17 is missing: install the package openjdk-17-jre-headless and run this "
                  "again.")


def _java_version(path: str) -> int:
    done = subprocess.run([path, "-version"], capture_output=True, text=True, check=False)
    found = re.search(r'version "(\d+)', done.stderr)
    return int(found.group(1)) if found else 0


def downloaded(downloads: Path, name: str, fetch: Callable[[Path], None]) -> Path:
    """The folder `name` of the downloads. `fetch` fills it once; it never exists incomplete."""
    wanted = downloads / name
    if wanted.exists():
        return wanted
    with locked(downloads):
        if not wanted.exists():
            say(f"downloading {name} into {downloads}, once")
            with tempfile.TemporaryDirectory(dir=downloads, prefix=".unfinished-") as folder:
                fetch(Path(folder) / name)
                (Path(folder) / name).rename(wanted)
    return wanted


def copy_artifact(artifact: str, target: Path) -> None:
    """Fetches one artifact of Maven Central into a folder."""
    _maven(f"{_COPY}:copy", target, f"-Dartifact={artifact}")


def copy_dependencies(pom: Path, target: Path) -> None:
    """Fetches the dependencies of a pom into a folder."""
    _maven(f"{_COPY}:copy-dependencies", target, "-f", str(pom), "-DincludeScope=runtime")


def _maven(goal: str, target: Path, *arguments: str) -> None:
    run("downloading from Maven Central",
        [need("mvn", "maven"), "-q", "-B", goal, f"-DoutputDirectory={target}", *arguments],
        cwd=target.parent)
