"""Memory, threads and descriptors that run out in a loader, one call at a time."""

import os
import re
from itertools import count
from pathlib import Path

import pytest
from harness.java import pack
from test_fault import GOOD, SCENARIO

ALL = os.environ.get("RESTY_FFI_FAULTS") == "all"
"""Fail each of Python's own allocations, not one in STRIDE: it takes an hour."""

STRIDE = 199

FIRST = 300
"""CPython itself ends the process when an allocation of the first milliseconds
of its start fails, before it has exceptions."""

CLEAR = re.compile(
    r"(?i)(not loaded|loaded, not called): .*"
    r"(memory|cannot allocate|cannot create|cannot extend|cannot open shared object"
    r"|temporarily unavailable|too many open files|no space left on device).*"
)

OF_PYTHON = re.compile(r"(?s)(not loaded|loaded, not called): .+")
"""Python makes several errors of it."""

PRELOAD = [Path("libstdc++.so.6")]
"""glibc ends the process when it cannot map this library for want of memory."""


@pytest.fixture
def faulty(server, libraries):
    """Makes a server where what t/lib/fault.c is told fails in a load, a call
    and an unload."""

    def make(load, name):
        return server(
            preload=[libraries / "libfault.so", *PRELOAD],
            prelude=SCENARIO,
            lua=f"""
                return fault.run("{name}", fault.MEMORY + fault.SYSTEM, function()
                    return scenario({load})
                end)
            """,
        )

    return make


def outcome(nginx, n):
    """What was seen when the n-th call failed, and how many calls there were.
    Then nothing fails and all is well."""
    seen, calls = nginx.values(f"/?n={n}&count=1")
    after, _ = nginx.values(f"/?n={n}&count=0")
    assert after == GOOD, f"{after}, after call {n}: {seen}"
    return seen, calls


def outcomes(nginx, renew=lambda: None):
    """Of each call."""
    seen = {}
    for n in count(1):
        text, calls = outcome(nginx, n)
        if calls < n:
            assert n > 1, "no call was seen"
            return seen
        seen.setdefault(text, n)
        renew()
    raise AssertionError


def unclear(seen, clear=CLEAR):
    return {text: n for text, n in seen.items() if text != GOOD and not clear.fullmatch(text)}


def test_each_call_of_the_python_loader_that_fails_is_told(faulty):
    nginx = faulty('"ffi_python3", "echo,init,", {unpin = true}', "libresty_ffi_python_host")
    assert not unclear(outcomes(nginx))


def test_python_that_lacks_memory_fails_a_load_or_a_call(faulty):
    nginx = faulty('"ffi_python3", "echo,init,", {unpin = true}', "interpreter-")
    _, calls = outcome(nginx, 10**9)
    own = range(1, 11)
    python = range(FIRST, calls, 1 if ALL else STRIDE)
    seen = {outcome(nginx, n)[0]: n for n in [*own, *python]}
    assert not unclear(seen, OF_PYTHON)


def test_each_call_of_the_nodejs_loader_that_fails_is_told(faulty):
    nginx = faulty('"ffi_nodejs", "echo,init,"', "libresty_ffi_nodejs_host")
    assert not unclear(outcomes(nginx, renew=nginx.reload))


def test_each_call_of_the_java_loader_that_fails_is_told(faulty, java_apps, tmp_path):
    jar = pack(tmp_path / "apps.jar", java_apps)
    nginx = faulty(f'"ffi_java", "{jar}/Echo,init,"', "libffi_java")
    assert not unclear(outcomes(nginx, renew=nginx.reload))
