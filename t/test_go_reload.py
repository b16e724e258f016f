"""A rebuilt Go library without an nginx reload: Go's code is never unmapped."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from harness import go, library

LUA = {
    "/": """
        local rt, err = ngx.load_ffi(ngx.unescape_uri(ngx.var.arg_name), ngx.var.arg_cfg,
                                     {unpin = ngx.var.arg_unpin ~= nil})
        if not rt then
            return nil, err
        end
        return select(2, rt[ngx.var.arg_method or "get"](rt, "held"))
    """,
    "/unload": """
        return ngx.load_ffi(ngx.unescape_uri(ngx.var.arg_name), ngx.var.arg_cfg):__unload(10)
    """,
}

MAX = 128
"""NGX_HTTP_LUA_FFI_RESIDENT_MAX"""


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Version 1 and 2 of a library."""
    folder = tmp_path_factory.mktemp("versions")
    return {
        version: go.build(go.APPS / "go_apps", folder / f"{version}.so", version)
        for version in "12"
    }


@pytest.fixture
def versions(server, tmp_path, built):
    """An nginx with version 1 of a library; its replace(version) renames another
    file over it, its overwrite(version) writes into it."""
    nginx = server(start=False, library_path=[tmp_path], lua=LUA)
    nginx.replace = lambda version: replace(built[version], tmp_path)
    nginx.overwrite = lambda version: shutil.copyfile(built[version], tmp_path / "libit.so")
    nginx.copies = lambda: copies(nginx)
    nginx.replace("1")
    nginx.start()
    return nginx


def replace(new, folder):
    """As go build does: a new file takes the place of the old."""
    shutil.copy(new, folder / "new")
    (folder / "new").rename(folder / "libit.so")


def copies(nginx):
    maps = Path(f"/proc/{nginx.worker}/maps").read_text().splitlines()
    return len({line.split()[4] for line in maps if "memfd:libit.so" in line})


def test_rebuilt_library_is_read_with_a_question_mark(versions):
    assert versions.values("/?name=it&cfg=version:a") == ["1"]
    versions.replace("2")
    assert versions.values("/?name=it%3f&cfg=version:b") == ["2"]
    assert versions.values("/?name=it&cfg=version:a") == ["1"]


def test_rebuilt_library_is_read_with_a_question_mark_after_unload(versions):
    assert versions.values("/?name=it%3f&cfg=version") == ["1"]
    versions.replace("2")
    assert versions.values("/?name=it%3f&cfg=version") == ["1"]
    assert versions.values("/unload?name=it%3f&cfg=version") == [True]
    assert versions.values("/?name=it%3f&cfg=version") == ["2"]


def test_rebuilt_library_is_not_read_unless_asked(versions):
    assert versions.values("/?name=it&cfg=version:a") == ["1"]
    versions.replace("2")
    assert versions.values("/?name=it&cfg=version:b") == ["1"]
    assert versions.values("/unload?name=it&cfg=version:a") == [True]
    assert versions.values("/?name=it&cfg=version:a") == ["1"]


def test_call_in_flight_is_answered_by_the_old_code(versions):
    call = versions.begin("/?name=it%3f&cfg=version&method=wait")
    held = versions.gate.wait()
    versions.overwrite("2")
    assert versions.values("/?name=it%3f&cfg=version:b") == ["2"]
    held.open()
    assert call.result() == ["1"]


def test_new_code_under_load_loses_no_call(versions):
    path = "/?name=it%3f&cfg=version:busy&method=get"
    assert versions.values(path) == ["1"]
    with ThreadPoolExecutor(8) as clients:
        calls = [clients.submit(versions.values, path) for _ in range(200)]
        for count in range(3):
            versions.overwrite("12"[count % 2])
            answer = versions.values(f"/?name=it%3f&cfg=version:{count}")
            assert answer == ["12"[count % 2]]
        assert [call.result() for call in calls] == [["1"]] * 200


@pytest.mark.parametrize("content", [b"", b"no library", b"\x7fELF"])
def test_spoilt_file_is_an_error_and_the_old_code_goes_on(versions, tmp_path, content):
    assert versions.values("/?name=it%3f&cfg=version:a") == ["1"]
    (tmp_path / "libit.so").write_bytes(content)
    runtime, why = versions.values("/?name=it%3f&cfg=version:b")
    assert runtime is None
    assert "libit.so" in why
    assert versions.values("/?name=it&cfg=version:c") == ["1"]
    versions.replace("2")
    assert versions.values("/?name=it%3f&cfg=version:b") == ["2"]


def test_unchanged_library_is_never_copied_again(versions):
    for cfg in "abc":
        assert versions.values(f"/?name=it%3f&cfg=version:{cfg}") == ["1"]
        assert versions.values(f"/unload?name=it%3f&cfg=version:{cfg}") == [True]
    assert versions.copies() == 1


def test_library_that_has_two_names_is_read_afresh_by_each(versions, tmp_path):
    path = tmp_path / "libit.so"
    assert versions.values("/?name=it&cfg=version:a") == ["1"]
    versions.replace("2")
    assert versions.values(f"/?name={path}&cfg=version:a") == ["1"]
    assert versions.values(f"/?name={path}%3f&cfg=version:b") == ["2"]
    assert versions.values("/?name=it%3f&cfg=version:b") == ["2"]


def test_library_that_the_dynamic_linker_found_is_read_afresh(server, tmp_path, built):
    replace(built["1"], tmp_path)
    nginx = server(env={"LD_LIBRARY_PATH": str(tmp_path)}, lua=LUA)
    for cfg in "abc":
        assert nginx.values(f"/?name=it%3f&cfg=version:{cfg}") == ["1"]
    assert copies(nginx) == 0
    replace(built["2"], tmp_path)
    assert nginx.values("/?name=it&cfg=version:d") == ["1"]
    assert nginx.values("/?name=it%3f&cfg=version:e") == ["2"]
    assert copies(nginx) == 1


@pytest.mark.parametrize("name", ["name=it%3f", "name=it&unpin=1"])
def test_library_overwritten_in_place_keeps_working(versions, tmp_path, name):
    assert versions.values(f"/?{name}&cfg=version:a") == ["1"]
    versions.overwrite("2")
    assert versions.values("/?name=it&cfg=version:a") == ["1"]
    (tmp_path / "libit.so").write_bytes(b"")
    assert versions.values(f"/?{name}&cfg=version:a") == ["1"]
    assert versions.copies() == 1


def test_unpin_is_accepted_and_said_to_be_without_effect_once(versions):
    for cfg in "ab":
        assert versions.values(f"/?name=it&unpin=1&cfg=version:{cfg}") == ["1"]
        assert versions.values(f"/unload?name=it&cfg=version:{cfg}") == [True]
    versions.log.wait("unpin has no effect")
    assert len(versions.log.find("unpin has no effect")) == 1
    assert versions.copies() == 1


def test_library_that_failed_to_start_is_read_afresh(versions):
    runtime, why = versions.values("/?name=it&cfg=unknown")
    assert runtime is None
    assert "unknown" in why
    versions.replace("2")
    assert versions.values("/?name=it&cfg=version") == ["2"]


def test_private_copy_finds_its_dependency(server, tmp_path):
    source = shutil.copytree(go.APPS / "go_depends", tmp_path / "go_depends")
    library.build("dependency", source)
    go.build(source, source / "libgo_depends.so")
    nginx = server(library_path=[source], lua=LUA)
    assert nginx.values("/?name=go_depends%3f") == ["found"]


def test_copies_are_counted_and_end_before_the_dynamic_linker_does(server, tmp_path, built):
    file = tmp_path / "libit.so"
    nginx = server(library_path=[tmp_path], lua=LUA)
    for count in range(MAX):
        file.unlink(missing_ok=True)
        shutil.copy(built["1"], file)
        assert nginx.values(f"/?name=it%3f&cfg=version:{count}") == ["1"]
        assert nginx.values(f"/unload?name=it%3f&cfg=version:{count}") == [True]
        said = nginx.log.find(r"\[warn\] .*cannot be unmapped.*reload nginx")
        assert bool(said) == (count >= MAX // 2 - 1)
    shutil.copy(built["2"], file)
    runtime, why = nginx.values("/?name=it%3f&cfg=version")
    assert runtime is None
    assert f"{MAX} libraries are mapped that cannot be unmapped" in why
    assert "reload nginx" in why
    assert nginx.values("/?name=it&cfg=version") == ["1"]
    nginx.reload()
    assert nginx.values("/?name=it%3f&cfg=version") == ["2"]


def test_copies_that_fail_to_start_are_counted_and_warned_of(versions):
    for count in range(1, MAX // 2 + 1):
        versions.replace("1")
        assert versions.values("/?name=it%3f&cfg=unknown") == [None, 'no app "unknown"']
        said = versions.log.find(r"\[warn\] .*cannot be unmapped.*reload nginx")
        assert len(said) == (count >= MAX // 2)
    versions.reload()


def test_library_is_loaded_while_the_threads_of_another_are_interrupted(server):
    """As Go's collector does; the signal's handler changes meanwhile."""
    nginx = server(
        lua={
            "/busy": """
                local rt = ngx.load_ffi("go_apps", "misfits")
                for i = 1, 20 do
                    assert(rt:collect())
                end
                return "collected"
            """,
            "/other": 'return ngx.load_ffi("go_cfg", "x"):get()',
        }
    )
    for _ in range(3):
        busy = [nginx.begin("/busy") for _ in range(4)]
        assert nginx.values("/other") == [True, "x"]
        assert [call.result() for call in busy] == [["collected"]] * 4
        nginx.reload()
