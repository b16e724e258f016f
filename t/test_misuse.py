"""Libraries that break the contract: refused, logged, and nobody is harmed."""

import re

import pytest
from harness.wait import wait_for

NEGATIVE = "the library responded with a negative length"

STATIC = "the library responded with memory that is not malloc()ed"


def test_second_answer_is_refused(server):
    nginx = server(lua='return ngx.load_ffi("twice"):at_once()')
    for _ in range(50):
        assert nginx.values() == [True, "first"]
    nginx.log.wait(r"\[error\].*ffi: .*response refused: .*each task is responded to once")


def test_answer_to_an_earlier_task_is_refused(server):
    nginx = server(lua='return ngx.load_ffi("twice"):later()')
    for _ in range(50):
        assert nginx.values() == [True, "first"]
    nginx.log.wait(r"\[error\].*response refused")


def test_stale_answers_never_reach_concurrent_callers(server):
    nginx = server(
        lua="""
            local rt = ngx.load_ffi("twice")
            local threads, wrong = {}, 0
            for i = 1, 2000 do
                threads[i] = ngx.thread.spawn(rt.later, rt)
            end
            for i = 1, 2000 do
                local _, _, res = ngx.thread.wait(threads[i])
                wrong = wrong + (res == "first" and 0 or 1)
            end
            return wrong
        """
    )
    assert nginx.values() == [0]


def test_forged_handles_are_refused(server):
    nginx = server(lua='return ngx.load_ffi("forge"):it()')
    assert nginx.values() == [True, "alive"]
    nginx.log.wait(r"\[error\].*response refused")


def test_task_is_no_queue_and_queue_is_no_task(server):
    nginx = server(lua='return ngx.load_ffi("forge"):mix_up()')
    assert nginx.values() == [True, "alive"]


@pytest.mark.parametrize(
    ("method", "why"),
    [
        ("negative", NEGATIVE),
        ("negative_static", NEGATIVE),
        ("static", STATIC),
        ("static_bytes", STATIC),
        ("taken_static", STATIC),
        ("middle", STATIC),
    ],
)
def test_response_that_is_none_is_refused_and_its_caller_told(server, method, why):
    nginx = server(lua=f'return ngx.load_ffi("legacy"):{method}()')
    for _ in range(20):
        assert nginx.values() == [False, -1, why]
    nginx.log.wait(rf'\[error\].*ffi: runtime "legacy": {re.escape(why)}')


def test_second_response_from_static_memory_is_refused(server):
    nginx = server(lua='return ngx.load_ffi("legacy"):static_again()')
    for _ in range(20):
        assert nginx.values() == [True, "first"]
    nginx.log.wait("response refused")


def test_answer_after_the_unload_is_refused(server):
    nginx = server(
        lua={
            "/": 'return ngx.load_ffi("repoll"):get()',
            "/unload": 'return ngx.load_ffi("repoll"):__unload(10)',
            "/echo": 'return ngx.load_ffi("echo"):echo("well")',
        }
    )
    assert nginx.values() == [True, "served"]
    assert nginx.values("/unload") == [True]
    nginx.gate.wait().open()
    late = nginx.gate.wait()
    assert late.name == "ended"
    wait_for(lambda: len(nginx.log.find("response refused")) == 3)
    nginx.log.wait(r"\[warn\].*ffi: still here")
    late.open()
    assert nginx.values("/echo") == [True, "well"]
