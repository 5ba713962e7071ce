"""A certificate authority for a set of servers, and a certificate for this machine's addresses."""

from pathlib import Path

from .downloads import need
from .process import run

_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
_SERVER = """\
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectAltName = DNS:localhost, IP:127.0.0.1, IP:::1
"""


def certificates(folder: Path) -> Path:
    """The folder with `ca.pem`, `server.pem` and `server.key`, created if it is not there."""
    if (folder / "server.pem").exists():
        return folder
    folder.mkdir(exist_ok=True)
    openssl = need("openssl", "openssl")
    (folder / "server.ext").write_text(_SERVER)
    for arguments in (
        ["req", "-x509", *_KEY, "-days", "3650", "-subj", "/CN=storefront test authority",
         "-addext", "keyUsage = critical, keyCertSign, cRLSign",
         "-keyout", "ca.key", "-out", "ca.pem"],
        ["req", *_KEY, "-subj", "/CN=localhost", "-keyout", "server.key", "-out", "server.csr"],
        ["x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
         "-CAcreateserial", "-days", "3650", "-extfile", "server.ext", "-out", "server.pem"],
    ):
        run("creating the TLS certificates", [openssl, *arguments], cwd=folder)
    return folder
