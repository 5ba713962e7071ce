"""The product as a child process: `storefront serve` on a database."""

import os
from pathlib import Path

from .process import Child, start

READY_SECONDS = 120


def serve(program: Path, database_url: str, *arguments: str, listen: str = "127.0.0.1:0",
          name: str = "storefront", logs: Path | None = None, inherit: bool = False
          ) -> tuple[Child, str]:
    """Starts it, by default on a free port; the process and the server's base address.

    Settings in the environment of this program apply only with `inherit`.
    """
    env = {key: value for key, value in os.environ.items()
           if inherit or not key.startswith("STOREFRONT_")}
    child = start(name, [program, "serve", "--listen", listen, "--database-url", database_url,
                         *arguments], logs, env)
    return child, child.wait_for(r"storefront is ready: open (http://[^/\s]+)", READY_SECONDS)
