"""docs/reliability.md: the tests that it names exist, and each promise names some."""

import re

from harness.config import TESTS

DOC = (TESTS.parent / "docs" / "reliability.md").read_text()


def test_named_tests_exist():
    named = set(re.findall(r"`(test_\w+\.py)::(\w+)`", DOC))
    sources = {file: (TESTS / file).read_text() for file, _ in named}
    missing = [
        f"{file}::{name}" for file, name in sorted(named) if f"\ndef {name}(" not in sources[file]
    ]
    assert named
    assert missing == []


def test_each_promise_and_each_failure_names_its_tests():
    rows = [row for row in DOC.splitlines() if row.startswith("| ") and "| tests |" not in row]
    assert rows
    names = re.compile(r"( `test_\w+\.py::test_\w+`)+ ")
    assert [row for row in rows if not names.fullmatch(row.split("|")[-2])] == []
