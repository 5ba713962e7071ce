"""The account that runs a server which refuses root, and folders that it can use."""

import os
import pwd
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .console import Failure


@dataclass(frozen=True)
class Account:
    """A user of this machine."""

    name: str
    uid: int
    gid: int

    def options(self) -> dict[str, Any]:
        """Arguments of subprocess.run that start a process under this account."""
        if os.geteuid() != 0:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def can(self, test: str, path: Path) -> bool:
        """Whether `test -r`, `-w` or `-x` of a path holds for this account."""
        return subprocess.run(["test", f"-{test}", str(path)], cwd="/", check=False,
                              **self.options()).returncode == 0

    def own(self, path: Path) -> None:
        """Makes this account the owner of a path that this program created."""
        if os.geteuid() == 0:
            os.chown(path, self.uid, self.gid)


def unprivileged() -> Account:
    """This user, or an unprivileged one if this is root."""
    entries = {entry.pw_name: entry for entry in pwd.getpwall()}
    names = ["postgres", "nobody"] if os.geteuid() == 0 else [pwd.getpwuid(os.geteuid()).pw_name]
    found = next((entries[name] for name in names if name in entries), None)
    if not found:
        raise Failure("PostgreSQL refuses to run as root, and there is no user postgres or nobody.")
    return Account(found.pw_name, found.pw_uid, found.pw_gid)


def own_folder(path: Path, owner: Account, longest: int) -> Path:
    """Creates a folder that the account owns and can enter, and returns its real path.

    If the account cannot enter a parent, or the path is longer than `longest` (the path of a Unix
    socket has a limit), the folder is created under $TMPDIR, and `path` is a link to it.
    """
    if path.exists():
        return path.resolve()
    path.unlink(missing_ok=True)
    if owner.can("x", path.parent) and len(str(path)) <= longest:
        path.mkdir(mode=0o700)
    else:
        path.symlink_to(tempfile.mkdtemp(prefix="storefront-servers-"))
    owner.own(path)
    return path.resolve()


def readable_copy(folder: Path, reader: Account, probe: str) -> Path:
    """The folder itself if the account can read it, else a copy under $TMPDIR that it can read."""
    if reader.can("r", folder / probe):
        return folder
    link = folder.with_name(f"{folder.name}-copy")
    if not link.exists():
        link.unlink(missing_ok=True)
        copy = Path(tempfile.mkdtemp(prefix="storefront-servers-"))
        copy.chmod(0o755)
        shutil.copytree(folder, copy / folder.name, symlinks=True)
        link.symlink_to(copy / folder.name)
    return link.resolve()
