"""The pytest fixture resty_ffi_nginx: a real nginx with a handler, and a client.

def test_what_was_put_is_got(resty_ffi_nginx):
    kv = resty_ffi_nginx("app:KV")
    kv.post("/put", b"a=1")
    assert kv.post("/get", b"a").body == b"1"
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Iterator, List

import pytest

if TYPE_CHECKING:
    from .client import Client

_SERVERS = pytest.StashKey[List[Any]]()

_LINES = 50
"""Of the error.log, shown when a test fails."""


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    outcome: Any = yield
    report = outcome.get_result()
    for server in item.stash.get(_SERVERS, []) if report.failed else []:
        lines = server.log().splitlines()[-_LINES:]
        report.sections.append((f"nginx's error.log, {server.url}", "\n".join(lines)))


@pytest.fixture
def resty_ffi_nginx(request: pytest.FixtureRequest) -> Iterator[Callable[..., Client]]:
    """Starts an nginx that answers with a handler, "module:name", and returns
    an HTTP client of it.

    The module is looked for in the test's folder. Options are those of
    resty_ffi.server.Server: cfg, folder, http, server (more nginx
    configuration), env, workers, max_body. nginx ends with the test; its error.log is
    shown when that fails.
    """
    # Nothing of this is needed in a session without the fixture.
    from .client import Client
    from .server import Server, ServerError

    servers: list[Server] = request.node.stash.setdefault(_SERVERS, [])

    def start(handler: str, **options: Any) -> Client:
        settings: dict[str, Any] = {"folder": request.path.parent, **options}
        server = Server(handler, **settings)
        servers.append(server)
        server.start()
        why = server.check()
        if why is not None:
            raise ServerError(f"{handler} does not load: {why}")
        return Client(server)

    yield start

    for server in servers:
        server.stop()
