from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import auth
import pytest
from resty_ffi import Error
from resty_ffi.testing import Runtime

LOCATION = """
location /private {{
    access_by_lua_block {{
        local users = assert(ngx.load_ffi("ffi_python3", "{folder}/auth,init,{database}"))
        local ok, name, why = users:check(ngx.var.http_authorization)
        if not ok then
            ngx.header.www_authenticate = 'Basic realm="private"'
            return ngx.exit(401)
        end
        ngx.ctx.name = name
    }}
    content_by_lua_block {{ ngx.say("hello ", ngx.ctx.name) }}
}}
"""


@pytest.fixture
def database(tmp_path: Path) -> str:
    path = str(tmp_path / "users.db")
    auth.add_user(path, "ada", "engine:1")
    return path


def basic(name: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


def test_user_with_the_password_is_known(database: str) -> None:
    with Runtime(auth.init, database) as users:
        assert users.check(basic("ada", "engine:1")) == b"ada"


@pytest.mark.parametrize(
    "header", [None, "", "Basic", "Basic !", basic("ada", "x"), basic("bob", ""), "Bearer YTpi"]
)
def test_others_are_not(database: str, header: str | None) -> None:
    with Runtime(auth.init, database) as users, pytest.raises(Error) as refused:
        users.check(header)
    assert refused.value.rc == 401


def test_in_access_by_lua(resty_ffi_nginx: Any, database: str) -> None:
    folder = Path(__file__).parent
    location = LOCATION.format(folder=folder, database=database)
    site = resty_ffi_nginx("auth:init", cfg=database, folder=folder, server=location)
    answer = site.get("/private", {"Authorization": basic("ada", "engine:1")})
    assert (answer.status, answer.text) == (200, "hello ada\n")
    answer = site.get("/private", {"Authorization": basic("ada", "wrong")})
    assert (answer.status, answer.headers["www-authenticate"]) == (401, 'Basic realm="private"')
    assert site.get("/private").status == 401
