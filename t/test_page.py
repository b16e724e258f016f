"""The page of lua_ffi_status, in a browser."""

import html
import re

import pytest
from harness.browser import Browser
from harness.status import LOCATION, runtime
from harness.wait import wait_for

ANY = """
    ngx.req.read_body()
    local rt = ngx.load_ffi("echo", ngx.req.get_body_data())
    return rt:echo("x")
"""

PAGE = "/status?format=html"


@pytest.fixture
def browser(tmp_path):
    return Browser(tmp_path)


@pytest.fixture
def shown(server):
    def start(lua=ANY, **options):
        return server(server=LOCATION, lua=lua, **options)

    return start


def text(page):
    """What a person reads of it."""
    visible = re.sub("<(style|script)>.*?</\\1>", "", page, flags=re.DOTALL)
    return re.sub(r"\s+", " ", html.unescape(re.sub("<[^>]*>", " ", visible)))


def test_page_is_what_a_browser_gets(shown):
    response = shown().get("/status", headers={"Accept": "text/html,*/*;q=0.8"})
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"


def test_page_is_complete_without_scripts(shown):
    nginx = shown()
    nginx.post("/", b'{"size": 3, "password": "hunter2"}')
    read = text(nginx.get(PAGE).text)
    echo = runtime(nginx, "echo")
    assert f'echo {echo["id"]} {{"size":3,"password":"***"}}' in read
    assert f"0 {nginx.worker} ready 1 " in read
    for stage in ("waiting in the queue", "running in the guest", "waiting for the event loop"):
        assert f"{stage} p50 ≤" in read


def test_page_refreshes_itself(shown, browser):
    nginx = shown()
    nginx.post("/", b"it")
    page = browser.html(nginx.url + PAGE, milliseconds=10_000)
    assert 'data-live="yes"' in page
    assert re.search(r'class="rate">\d+(\.\d)?</td>', page)
    assert nginx.get(PAGE).text.count("<section") == page.count("<section") == 1


def test_page_needs_nothing_from_elsewhere(shown):
    nginx = shown()
    nginx.post("/", b"it")
    page = nginx.get(PAGE).text
    assert not re.search(r'\b(src|action)=|href="(?!data:,")|@import|url\(|https?:', page)


def test_hostile_texts_are_text(server, browser):
    hostile = "<img src=x onerror=document.title=1><script>document.title=2</script>\"'&amp;"
    nginx = server(
        server=LOCATION,
        lua="""
            ngx.req.read_body()
            local text = ngx.req.get_body_data()
            local rt = ngx.load_ffi("fail", '{"a":"' .. text:sub(1, 30) .. '"}')
            return rt:fail("1:" .. text)
        """,
    )
    nginx.post("/", hostile.encode())
    page = browser.html(nginx.url + PAGE, milliseconds=3000)
    assert "<title>resty-ffi</title>" in page
    assert "<img" not in page
    assert page.count("<script>") == 1
    assert hostile.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;") in page


def test_page_is_drawn_without_scripts(shown, browser):
    nginx = shown()
    nginx.post("/", b"it")
    empty = browser.screenshot("about:blank")
    assert empty.startswith(b"\x89PNG")
    wait_for(lambda: len(browser.screenshot(nginx.url + PAGE)) > 2 * len(empty), deadline=60)
