"""Programs of this machine that the servers need, and what is downloaded from Maven Central."""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from .console import Failure, Missing, say
from .site import Account, locked

_COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1"
# The newest Java whose security manager Cassandra 5.0 can still switch on is 23.
_JAVA = range(17, 24)


def run(command: Sequence[str | Path], what: str, told: str = "", cwd: Path | None = None,
        env: dict[str, str] | None = None) -> str:
    """Runs a program to its end, tells it something on its standard input, and returns its output.

    A failure says that `what` failed, with the program's last words.
    """
    done = subprocess.run([str(part) for part in command], input=told, text=True, check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=cwd, env=env)
    if done.returncode != 0:
        words = "\n".join(done.stdout.strip().splitlines()[-15:])
        raise Failure(f"{what} failed, {Path(str(command[0])).name} said:\n{words}")
    return done.stdout


def need(command: str, package: str) -> str:
    """The path of a program. As root it is installed if it is missing, else that is the end."""
    found = shutil.which(command)
    if not found and os.geteuid() == 0 and shutil.which("apt-get"):
        say(f"installing {package}")
        _install(package)
        found = shutil.which(command)
    if not found:
        raise Missing(f"scripts/servers needs {Path(command).name}: "
                      f"install the package {package} and run it again.")
    return found


def _install(package: str) -> None:
    # Debian's PostgreSQL would make a cluster of its own and start it.
    cluster = Path("/etc/postgresql-common/createcluster.conf")
    if package.startswith("postgresql") and not cluster.exists():
        cluster.parent.mkdir(exist_ok=True)
        cluster.write_text("create_main_cluster = false\n")
    install = ["apt-get", "install", "-y", "--no-install-recommends",
               "-o", "Dpkg::Options::=--force-confold", package]
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    try:
        run(install, f"Installing {package}", env=environment)
    except Failure:
        run(["apt-get", "update"], "Updating the package lists", env=environment)
        run(install, f"Installing {package}", env=environment)


def java() -> str:
    """A Java that Cassandra runs on."""
    home = os.environ.get("JAVA_HOME")
    names = [f"{home}/bin/java"] if home else []
    names += ["java", *map(str, sorted(Path("/usr/lib/jvm").glob("java-*/bin/java")))]
    for name in names:
        if (found := shutil.which(name)) and _java_version(found) in _JAVA:
            return found
    if os.geteuid() == 0 and shutil.which("apt-get"):
        say("installing openjdk-17-jre-headless")
        _install("openjdk-17-jre-headless")
        for path in Path("/usr/lib/jvm").glob("java-17-*/bin/java"):
            return str(path)
    raise Missing("scripts/servers needs Java 17: install the package openjdk-17-jre-headless "
                  "and run it again.")


def _java_version(path: str) -> int:
    done = subprocess.run([path, "-version"], capture_output=True, text=True, check=False)
    found = re.search(r'version "(\d+)', done.stderr)
    return int(found.group(1)) if found else 0


def downloaded(dist: Path, name: str, fetch: Callable[[Path], None]) -> Path:
    """The folder `name` of the downloads. `fetch` fills it once, and it is there whole or not."""
    wanted = dist / name
    if wanted.exists():
        return wanted
    with locked(dist):
        if not wanted.exists():
            say(f"downloading {name} into {dist}, once")
            with tempfile.TemporaryDirectory(dir=dist, prefix=".unfinished-") as folder:
                fetch(Path(folder) / name)
                (Path(folder) / name).rename(wanted)
    return wanted


def readable_copy(folder: Path, reader: Account, probe: str) -> Path:
    """The folder itself if the account can read it, else a copy under $TMPDIR that it can."""
    if reader.can("r", folder / probe):
        return folder
    link = folder.with_name(f"{folder.name}-copy")
    if not link.exists():
        link.unlink(missing_ok=True)
        place = Path(tempfile.mkdtemp(prefix="storefront-servers-"))
        place.chmod(0o755)
        shutil.copytree(folder, place / folder.name, symlinks=True)
        link.symlink_to(place / folder.name)
    return link.resolve()


def copy_artifact(artifact: str, target: Path) -> None:
    """Fetches one artifact of Maven Central into a folder."""
    _maven(f"{_COPY}:copy", target, f"-Dartifact={artifact}")


def copy_dependencies(pom: Path, target: Path) -> None:
    """Fetches what a pom depends on into a folder."""
    _maven(f"{_COPY}:copy-dependencies", target, "-f", str(pom), "-DincludeScope=runtime")


def _maven(goal: str, target: Path, *arguments: str) -> None:
    run([need("mvn", "maven"), "-q", "-B", goal, f"-DoutputDirectory={target}", *arguments],
        "Downloading from Maven Central", cwd=target.parent)
