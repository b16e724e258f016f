"""Fixtures of the end-to-end suite; t/README.md tells how to write a test."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest
from harness import go, health, library, process, rust, target
from harness.config import Config
from harness.java import Java, build_apps
from harness.language import LANGUAGES, Language
from harness.nodejs import Nodejs
from harness.python import Python
from harness.server import Server

_SERVERS = pytest.StashKey[list]()
_FAILED = pytest.StashKey[bool]()


def pytest_configure(config: pytest.Config) -> None:
    process.adopt_orphans()
    config.addinivalue_line("markers", "no_asan: not run by make asan, with the reason")


def pytest_report_header() -> list[str]:
    return target.find().report()


def pytest_runtest_setup(item: pytest.Item) -> None:
    reason = item.get_closest_marker("no_asan")
    if target.ASAN and reason:
        pytest.skip(reason.args[0])


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: Any) -> Any:
    report = yield
    if report.failed:
        item.stash[_FAILED] = True
        for server in item.stash.get(_SERVERS, []):
            report.sections.append((f"log of {server.folder}", server.log.tail()))
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What the tests have counted, see the fixture figure."""
    reports = [report for some in terminalreporter.stats.values() for report in some]
    figures = {
        (report.nodeid.partition("::")[2], text)
        for report in reports
        for name, text in getattr(report, "user_properties", [])
        if name == "figure"
    }
    if figures:
        terminalreporter.section("figures")
    for test, text in sorted(figures):
        terminalreporter.line(f"{test}: {text}")


@pytest.fixture
def figure(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """figure("50 reloads, 0 lost") is printed at the end of the report."""
    return lambda text: record_property("figure", text)


@pytest.fixture(scope="session")
def libraries(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """The folder of the C, Go and Rust test libraries."""
    folder = _shared(tmp_path_factory, worker_id) / "lib"
    for language in (library, go, rust):
        language.build_all(folder)
    return folder


@pytest.fixture(scope="session")
def java_apps(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """The folder of the compiled Java apps."""
    return build_apps(_shared(tmp_path_factory, worker_id) / "java")


def _shared(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A folder that all processes of this session have."""
    base = tmp_path_factory.getbasetemp()
    return base if worker_id == "master" else base.parent


@pytest.fixture(params=LANGUAGES, ids=str)
def lang(request: pytest.FixtureRequest) -> Language:
    """Each language in turn, for what must be the same in all of them."""
    return request.param


@pytest.fixture
def server(
    request: pytest.FixtureRequest, libraries: Path, java_apps: Path
) -> Iterator[Callable[..., Server]]:
    """Makes servers: server(lua="...") starts one, see harness.config.Config.

    After the test each is checked up; a sick one fails the test. The folders
    of a failed test are kept.
    """
    servers: list[Server] = request.node.stash.setdefault(_SERVERS, [])

    def make(start: bool = True, **options: Any) -> Server:
        options.setdefault("library_path", [libraries, *target.find().loader_folders()])
        options["env"] = {"CLASSPATH": str(java_apps), **options.get("env", {})}
        made = Server(Config(**options))
        servers.append(made)
        if start:
            made.start()
        return made

    yield make

    complaints = []
    with ExitStack() as closing:
        for made in servers:
            closing.callback(made.close)
        for made in reversed(servers):
            try:
                health.check_up(made)
            except health.Unhealthy as error:
                complaints.append(str(error))
    if complaints:
        raise health.Unhealthy("\n".join(complaints))
    if not request.node.stash.get(_FAILED, False):
        for made in servers:
            made.remove()


@pytest.fixture
def python(server: Callable[..., Server], tmp_path: Path) -> Python:
    """Python modules of the test's own, see harness.python."""
    return Python(server, tmp_path)


@pytest.fixture
def nodejs(server: Callable[..., Server], tmp_path: Path) -> Nodejs:
    """Node.js modules of the test's own, see harness.nodejs."""
    return Nodejs(server, tmp_path)


@pytest.fixture
def java(server: Callable[..., Server], tmp_path: Path) -> Java:
    """Java classes of the test's own, see harness.java."""
    return Java(server, tmp_path)
