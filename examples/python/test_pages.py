from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pages
import pytest
from resty_ffi import Error
from resty_ffi.testing import Runtime

REQUEST = json.dumps({"page": "hello.html", "names": ["Ada", "<Bob>"]})
PAGE = "<p>hello Ada</p><p>hello &lt;Bob&gt;</p>"


@pytest.fixture
def templates(tmp_path: Path) -> str:
    text = "{% for name in names %}<p>hello {{ name }}</p>{% endfor %}"
    (tmp_path / "hello.html").write_text(text)
    return str(tmp_path)


def test_page_is_rendered_and_escaped(templates: str) -> None:
    with Runtime(pages.init, templates) as rt:
        assert rt.render(REQUEST) == PAGE.encode()


@pytest.mark.parametrize("page", ["nothing.html", "../secret", ""])
def test_what_is_no_page_is_not_found(templates: str, page: str) -> None:
    with Runtime(pages.init, templates) as rt, pytest.raises(Error) as refused:
        rt.render(json.dumps({"page": page}))
    assert refused.value.rc == 404


def test_in_nginx(resty_ffi_nginx: Any, templates: str) -> None:
    site = resty_ffi_nginx("pages:init", cfg=templates, folder=Path(__file__).parent)
    assert site.post("/render", REQUEST).text == PAGE
