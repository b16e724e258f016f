"""What docs/python.md tells people to type."""

import re
import subprocess
import sys

import pytest
from harness import target
from harness.config import TESTS

pytestmark = pytest.mark.no_asan("an nginx of resty-ffi's own has no libasan")

DOC = (TESTS.parent / "docs" / "python.md").read_text()


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```$", DOC, re.MULTILINE | re.DOTALL)


@pytest.fixture
def counter(tmp_path):
    """The folder with the files of the first ten minutes."""
    for source in blocks("python"):
        name = re.match(r"# (\w+\.py)\n", source)
        if name:
            (tmp_path / name[1]).write_text(source)
    return tmp_path


def test_first_handler_passes_its_tests(counter, monkeypatch):
    monkeypatch.setenv("NGINX_BIN", target.find().nginx)
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", counter],
        cwd=counter,
        capture_output=True,
        text=True,
    )
    assert "2 passed" in run.stdout, run.stdout


def test_location_lets_as_many_pass_as_it_says(counter, resty_ffi_nginx, monkeypatch):
    monkeypatch.setenv("NGINX_BIN", target.find().nginx)
    (location,) = (block for block in blocks("nginx") if "location /api/" in block)
    site = resty_ffi_nginx(
        "counter:init",
        cfg='{"limit": 1}',
        folder=counter,
        http="upstream backend { server unix:/nonexistent; }",
        server=location.replace("/srv/app", str(counter)),
    )
    statuses = [site.get("/api/").status for _ in range(101)]
    assert statuses == [502] * 100 + [429]
