"""nginx as a child process in front of servers, with the configuration of deploy/nginx."""

import os
import re
import socket
from collections.abc import Sequence
from pathlib import Path

from .process import Child, run, start, until
from .site import DEPLOY

READY_SECONDS = 12
SHIPPED = sorted((DEPLOY / "nginx").glob("*.conf"))
_MAIN = """\
{user}daemon off; pid nginx.pid; worker_processes auto; error_log stderr warn;
events {{ worker_connections 4096; }}
http {{
access_log off;
{folders}
{body}
}}
"""


def version(program: Path) -> str:
    """Version and build options of nginx."""
    # It prints them on standard error.
    return run("nginx -V", ["sh", "-c", '"$0" -V 2>&1', program], 10)


def configure(program: Path, folder: Path, listen: str, upstreams: Sequence[str]) -> list[str]:
    """Writes the shipped configuration for these addresses into a folder; the command for it."""
    folder.mkdir(parents=True, exist_ok=True)
    body = moved("\n".join(path.read_text() for path in SHIPPED), listen, upstreams)
    # Its workers would run as another user, who may not be allowed to enter the folder.
    user = "user root; " if os.geteuid() == 0 else ""
    main = folder / "nginx.conf"
    main.write_text(_MAIN.format(user=user, folders=temporary(version(program)), body=body))
    return [str(program), "-p", str(folder), "-e", "stderr", "-c", str(main)]


def moved(text: str, listen: str, upstreams: Sequence[str]) -> str:
    """The configuration with another address to listen on, and other servers behind it."""
    listens = iter([f"listen {listen};"])
    text = re.sub(r"\blisten\s+[^;]+;", lambda _found: next(listens, ""), text)
    servers = iter(upstreams)

    def server(found: re.Match[str]) -> str:
        upstream = next(servers, None)
        return f"server {upstream}{found[1]};" if upstream else ""

    return re.sub(r"\bserver\s+[\w.\[\]:-]+:\d+([^;]*);", server, text)


def temporary(built: str) -> str:
    """Directives for temporary folders in our own, for the modules that this nginx has."""
    parts = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    return "\n".join(f"{part}_temp_path {part};" for part in parts
                     if f"--http-{part.replace('_', '-')}-temp-path" in built)


def serve(command: Sequence[str], listen: str, logs: Path) -> Child:
    """Starts it and returns once it accepts connections."""
    child = start("nginx", command, logs)
    until(lambda: child.process.poll() is not None or _accepts(listen), READY_SECONDS, 0.02)
    if child.process.poll() is not None or not _accepts(listen):
        raise child.failure("does not accept connections")
    return child


def _accepts(listen: str) -> bool:
    host, port = listen.split(":")
    try:
        socket.create_connection((host, int(port)), 1).close()
    except OSError:
        return False
    return True
