"""TLS: a certificate, and a client that resumes its sessions."""

from __future__ import annotations

import socket
import ssl
import subprocess
from pathlib import Path

from .wait import DEADLINE


def make_certificate(folder: Path) -> None:
    """Writes tls.key and, signed with it, tls.pem."""
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    files = ["-keyout", folder / "tls.key", "-out", folder / "tls.pem"]
    command = ["openssl", "req", "-x509", *curve, "-subj", "/CN=t", *files]
    subprocess.run(command, check=True, capture_output=True)


class Client:
    """Up to TLS 1.2: later sessions are not the server's to keep."""

    def __init__(self, path: Path) -> None:
        """path is that of the server's unix socket."""
        self._path = path
        self._session: ssl.SSLSession | None = None
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._context.maximum_version = ssl.TLSVersion.TLSv1_2
        self._context.check_hostname = False
        self._context.verify_mode = ssl.CERT_NONE

    def get(self) -> str:
        """The answer to one request, its header included; keeps the session for
        the next one.

        Raises ssl.SSLError when there is no handshake.
        """
        plain = socket.socket(socket.AF_UNIX)
        plain.settimeout(DEADLINE)
        plain.connect(str(self._path))
        with self._context.wrap_socket(plain, session=self._session) as connection:
            connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
            with connection.makefile() as answer:
                text = answer.read()
            self._session = connection.session
        return text
