"""A real nginx in front of the store, with the configuration that the repository ships."""

import re
import socket
import time
from urllib.parse import urlsplit

from . import processes, programs
from .console import Failure
from .paths import CACHE, ROOT, ensure, shown
from .targets import READY_SECONDS, Server

SHIPPED = ROOT / "deploy" / "nginx"
# Where the repository ships none.
_PLAIN = """\
upstream storefront { server 127.0.0.1:1; keepalive 64; }
server {
    listen 80;
    location / {
        proxy_pass http://storefront;
        proxy_http_version 1.1;
        proxy_set_header Connection "";
    }
}
"""
_WHOLE = """\
daemon off; pid nginx.pid; worker_processes auto; error_log stderr warn;
events {{ worker_connections 4096; }}
http {{
access_log off;
{folders}
{body}
}}
"""


def placed(text: str, listen: str, upstream: str) -> str:
    """The shipped configuration, listening elsewhere and in front of one server."""
    listens = iter([f"listen {listen};"])
    text = re.sub(r"\blisten\s+[^;]+;", lambda _found: next(listens, ""), text)
    servers = iter([upstream])

    def server(found: re.Match[str]) -> str:
        first = next(servers, None)
        return f"server {first}{found[1]};" if first else ""

    return re.sub(r"\bserver\s+[\w.\[\]:-]+:\d+([^;]*);", server, text)


def temporary(built: str) -> str:
    """Folders for large bodies within our own, of the parts that this nginx was built with."""
    parts = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    return "\n".join(f"{part}_temp_path {part};" for part in parts
                     if f"--http-{part.replace('_', '-')}-temp-path" in built)


def start(store: Server) -> tuple[Server, dict[str, object]]:
    """nginx on a free port, and its recipe."""
    folder = ensure(CACHE / "nginx")
    listen = f"127.0.0.1:{_free_port()}"
    shipped = sorted(SHIPPED.glob("*.conf"))
    text = "\n".join(path.read_text() for path in shipped) or _PLAIN
    upstream = urlsplit(store.base).netloc
    program = programs.unpacked("nginx", "nginx")
    # It answers on standard error, so by way of a shell.
    built = processes.run("nginx -V", ["sh", "-c", '"$0" -V 2>&1', program], 10)
    configuration = folder / "nginx.conf"
    configuration.write_text(_WHOLE.format(folders=temporary(built),
                                           body=placed(text, listen, upstream)))
    child = processes.start("nginx", [program, "-p", folder, "-c", configuration])
    _wait(listen, child)
    # Its workers are the master's children, so it is counted with the helpers.
    server = Server("nginx", f"http://{listen}", None, child, store.helpers | {child.pid})
    source = ", ".join(map(shown, shipped)) or "a plain proxy_pass with keepalive"
    return server, {"nginx": built.splitlines()[0].strip(),
                    "configuration": f"{source}; one server behind it, no access log"}


def _wait(listen: str, child: processes.Child) -> None:
    host, port = listen.split(":")
    end = time.monotonic() + READY_SECONDS / 10
    while time.monotonic() < end and child.process.poll() is None:
        try:
            socket.create_connection((host, int(port)), 1).close()
            return
        except OSError:
            time.sleep(0.02)
    raise Failure(child.complaint("did not answer"))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
