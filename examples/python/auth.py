"""Who may enter: users and salted, hashed passwords in an SQLite file.

nginx asks it in access_by_lua, see test_auth.py.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import sqlite3
import sys

from resty_ffi import Error, serve

_SCRYPT = {"n": 2**14, "r": 8, "p": 1}

_SCHEMA = "CREATE TABLE IF NOT EXISTS users (name TEXT PRIMARY KEY, salt BLOB, hash BLOB)"


def _hash(password: str, salt: bytes) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, **_SCRYPT)


def add_user(path: str, name: str, password: str) -> None:
    salt = os.urandom(16)
    with sqlite3.connect(path) as database:
        database.execute(_SCHEMA)
        row = (name, salt, _hash(password, salt))
        database.execute("INSERT OR REPLACE INTO users VALUES (?, ?, ?)", row)
    database.close()


class Auth:
    def __init__(self, cfg: str) -> None:
        """cfg: the path of the database."""
        # Read only: a gateway has no business with writing it.
        self._database = sqlite3.connect(f"file:{cfg}?mode=ro", uri=True)

    def check(self, request: bytes | None) -> str:
        """The user's name, of an Authorization header; 401 when it is wrong."""
        try:
            scheme, credentials = (request or b"").split(None, 1)
            name, _, password = base64.b64decode(credentials, validate=True).decode().partition(":")
        except ValueError:
            raise Error(401, "log in, please") from None
        if scheme.lower() != b"basic" or not self._knows(name, password):
            raise Error(401, "wrong name or password")
        return name

    def close(self) -> None:
        self._database.close()

    def _knows(self, name: str, password: str) -> bool:
        query = "SELECT salt, hash FROM users WHERE name = ?"
        # A name that is not there takes as long as a wrong password.
        salt, stored = self._database.execute(query, [name]).fetchone() or (b"", b"")
        return hmac.compare_digest(_hash(password, salt), stored)


init = serve(Auth)


if __name__ == "__main__":
    add_user(*sys.argv[1:4])
