"""A call takes no more instructions than it did: bench/instructions.json."""

import json
import sys

import pytest
from harness.config import TESTS

sys.path.append(str(TESTS.parent / "bench"))

import instructions

MAY_GROW = 1.2
"""What compilers differ by. For more there must be a reason, and `make instructions`."""


@pytest.mark.no_asan("what the sanitizer adds counts, too")
def test_call_takes_no_more_instructions_than_it_did(figure):
    kept = json.loads(instructions.KEPT.read_text())
    counted = instructions.count()
    for way, now in counted.items():
        figure(f"{way}: {now['ours']} of ours, {now['all']} in all; kept: {kept[way]}")
    for way, now in counted.items():
        assert now["ours"] <= kept[way]["ours"] * MAY_GROW
