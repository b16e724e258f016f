"""ngx.load_ffi(): from where, what it finds, and how it fails."""

import shutil

import pytest
from harness import library, target
from harness.wait import wait_for

ECHO = 'return ngx.load_ffi("echo"):echo("hello")'


# ---- from where; test_phases.py has the rest


def test_library_loads_at_the_top_level_of_a_module(server):
    nginx = server(start=False, lua='return require("mine"):echo("hello")')
    (nginx.folder / "mine.lua").write_text('return assert(ngx.load_ffi("echo"))')
    nginx.start()
    assert nginx.values() == [True, "hello"]


def test_runtime_outlives_the_request_without_code_cache(server):
    nginx = server(code_cache=False, lua='return ngx.load_ffi("serial"):get()')
    assert nginx.values() == [True, "1"]
    assert nginx.values() == [True, "1"]


# ---- what it finds


@pytest.mark.parametrize("name", ["echo", "libecho.so", "./libecho.so"])
def test_library_is_found_by_name(server, libraries, name):
    nginx = server(start=False, lua=f'return ngx.load_ffi("{name}"):echo("hello")')
    library.copy(libraries / "libecho.so", nginx.folder)
    nginx.start()
    assert nginx.values() == [True, "hello"]


def test_library_is_found_by_absolute_path(server, libraries):
    nginx = server(
        library_path=[], lua=f'return ngx.load_ffi("{libraries}/libecho.so"):echo("hello")'
    )
    assert nginx.values() == [True, "hello"]


def test_library_path_is_searched_in_order(server, tmp_path):
    first, second, third = (tmp_path / name for name in ["first", "second", "third"])
    for number, folder in enumerate([first, second, third]):
        folder.mkdir()
        if folder != first:
            library.build("version", folder, {"VERSION": str(number)})
    nginx = server(library_path=[first, second, third], lua='return ngx.load_ffi("version"):get()')
    assert nginx.values() == [True, "1"]


def test_dynamic_linker_is_asked_last(server, libraries):
    nginx = server(library_path=[], env={"LD_LIBRARY_PATH": str(libraries)}, lua=ECHO)
    assert nginx.values() == [True, "hello"]


def test_library_beside_the_module_that_a_link_leads_to_is_found(server, libraries, tmp_path):
    for path in (target.find().module, libraries / "libecho.so"):
        shutil.copy(path, tmp_path)
    link = tmp_path / "modules" / target.MODULE
    link.parent.mkdir()
    link.symlink_to(tmp_path / target.MODULE)
    nginx = server(library_path=[], modules=["lua"], main=f"load_module {link};", lua=ECHO)
    assert nginx.values() == [True, "hello"]


def test_dependency_beside_the_library_is_found(server):
    nginx = server(lua='return ngx.load_ffi("depends"):get()')
    assert nginx.values() == [True, "found"]


def test_global_library_gives_its_symbols_to_others(server):
    nginx = server(
        lua="""
            assert(ngx.load_ffi("has_symbol", nil, {is_global = true}))
            return ngx.load_ffi("needs_symbol"):get()
        """
    )
    assert nginx.values() == [True, "hello"]


# ---- runtimes


def test_same_library_and_configuration_is_the_same_runtime(server):
    nginx = server(
        lua="""
            local a, b = ngx.load_ffi("serial", "x"), ngx.load_ffi("serial", "x")
            return a == b, b:get()
        """
    )
    assert nginx.values() == [True, True, "1"]


def test_each_configuration_has_a_runtime_of_its_own(server):
    nginx = server(
        lua="""
            local results = {}
            for i, cfg in ipairs({"a", "b", "", "a,b", "a,"}) do
                results[i] = select(2, ngx.load_ffi("cfg", cfg):get())
            end
            return results
        """
    )
    assert nginx.values() == [["a", "b", "", "a,b", "a,"]]


def test_nil_and_empty_configuration_are_different(server):
    nginx = server(
        lua="""
            local _, none = ngx.load_ffi("cfg"):get()
            local _, empty = ngx.load_ffi("cfg", ""):get()
            return none, empty
        """
    )
    assert nginx.values() == [None, ""]


def test_configuration_may_be_large(server):
    nginx = server(
        lua="""
            local cfg = ("0123456789"):rep(100000)
            local ok, res = ngx.load_ffi("cfg", cfg):get()
            return ok, res == cfg
        """
    )
    assert nginx.values() == [True, True]


# ---- loading takes its time


def test_slow_start_does_not_hold_up_other_requests(server):
    nginx = server(
        lua={"/": 'return ngx.load_ffi("slow_start", "slow"):get()', "/echo": ECHO},
    )
    slow = nginx.begin()
    held = nginx.gate.wait()
    assert nginx.values("/echo") == [True, "hello"]
    assert not slow.done()
    held.open()
    assert slow.result() == [True, "ready"]


def test_slow_start_does_not_hold_up_the_same_library(server):
    nginx = server(
        lua={
            "/slow": 'return ngx.load_ffi("slow_start", "slow"):get()',
            "/running": 'return ngx.load_ffi("slow_start", "running"):get()',
        },
    )
    running = nginx.begin("/running")
    nginx.gate.wait().open()
    assert running.result() == [True, "ready"]
    slow = nginx.begin("/slow")
    held = nginx.gate.wait()
    assert nginx.values("/running") == [True, "ready"]
    held.open()
    assert slow.result() == [True, "ready"]


def test_loads_at_the_same_time_share_one_start(server):
    nginx = server(lua='return ngx.load_ffi("slow_start", "shared"):get()')
    loads = [nginx.begin() for _ in range(10)]
    held = nginx.gate.wait()
    wait_for(lambda: nginx.usage().sockets >= nginx.baseline[nginx.worker].sockets + 10)
    held.open()
    assert [load.result() for load in loads] == [[True, "ready"]] * 10
    assert not nginx.gate.has_visitor()


def test_load_timeout_fails_the_load(server):
    nginx = server(lua='return ngx.load_ffi("slow_start", "late", {load_timeout = 0.05})')
    runtime, why = nginx.values()
    assert runtime is None
    assert "load timed out after 50 ms" in why


def test_runtime_that_starts_too_late_is_unloaded(server):
    nginx = server(lua='return ngx.load_ffi("slow_start", "late", {load_timeout = 0.05})')
    before = nginx.usage().threads
    nginx.values()
    held = nginx.gate.wait()
    assert nginx.usage().threads > before
    held.open()
    wait_for(lambda: nginx.usage().threads == before)


def test_key_can_be_loaded_again_after_its_load_timed_out(server):
    nginx = server(lua='return ngx.load_ffi("slow_start", "x", {load_timeout = 0.2})')
    assert nginx.values()[0] is None
    nginx.gate.wait().open()
    second = nginx.begin()
    nginx.gate.wait().open()
    assert second.result() == ["<userdata>"]


def test_library_sees_that_its_load_was_given_up(server):
    nginx = server(
        lua={
            "/hang": 'return ngx.load_ffi("patient", "hang", {load_timeout = 0.05})',
            "/next": 'return ngx.load_ffi("patient"):ending()',
        }
    )
    assert nginx.values("/hang")[0] is None
    assert nginx.values("/next") == [True, "running"]


# ---- how it fails

FAILURES = {
    '"nowhere"': "libnowhere.so",
    '"/no/where.so"': 'cannot find "/no/where.so": No such file or directory',
    '"no_init"': "has no libffi_init()",
    '"fail_init"': "libffi_init() returned 7",
    '"fail_init", "out of luck"': "out of luck",
    '"needs_symbol"': "undefined symbol: greeting",
}


@pytest.mark.parametrize("arguments", FAILURES)
def test_failed_load_says_why(server, arguments):
    nginx = server(lua={"/": f"return ngx.load_ffi({arguments})", "/echo": ECHO})
    runtime, why = nginx.values()
    assert runtime is None
    assert FAILURES[arguments] in why
    assert nginx.log.find(r"\[error\].*ffi: runtime .* failed to load: ")
    assert nginx.values("/echo") == [True, "hello"]


def test_missing_dependency_is_named(server, libraries):
    nginx = server(start=False, lua='return ngx.load_ffi("./libdepends.so")')
    library.copy(libraries / "libdepends.so", nginx.folder)
    nginx.start()
    assert "libdependency.so" in nginx.values()[1]


def test_file_that_is_no_library_is_an_error(server):
    nginx = server(lua='return ngx.load_ffi("./nginx.conf")')
    runtime, why = nginx.values()
    assert runtime is None
    assert "invalid ELF header" in why


def test_everybody_who_waits_for_a_failing_load_is_told(server):
    nginx = server(lua='return ngx.load_ffi("slow_start", "x")')
    loads = [nginx.begin() for _ in range(5)]
    held = nginx.gate.wait()
    wait_for(lambda: nginx.usage().sockets >= nginx.baseline[nginx.worker].sockets + 5)
    held.open("broken")
    assert [load.result() for load in loads] == [[None, "broken"]] * 5


def test_failed_load_can_be_tried_again(server, libraries):
    nginx = server(lua='return ngx.load_ffi("./libecho.so"):echo("hello")')
    assert nginx.get().status_code == 500
    library.copy(libraries / "libecho.so", nginx.folder)
    assert nginx.values() == [True, "hello"]


def test_failed_load_in_init_worker_is_an_error_like_any_other(server):
    nginx = server(
        http="""init_worker_by_lua_block {
            require("harness").keep("it", ngx.load_ffi("fail_init", "out of luck"))
        }"""
    )
    assert nginx.kept("it") == [None, "out of luck"]


def test_failed_loads_leave_nothing_behind(server):
    nginx = server(
        lua="""
            for i = 1, 200 do
                ngx.load_ffi("fail_init", "no " .. i)
                ngx.load_ffi("nowhere")
                ngx.load_ffi("no_init")
            end
        """
    )
    before = nginx.usage()
    nginx.values()
    wait_for(lambda: nginx.usage().threads == before.threads)
    wait_for(lambda: nginx.usage().files == before.files)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ("", "library must be the name or path"),
        ("1", "library must be the name or path"),
        ('""', "library must be the name or path"),
        ('"echo\\0"', "library must be the name or path"),
        ('"echo", {}', "configuration must be a string"),
        ('"echo", "a\\0b"', "configuration must be a string without NUL"),
        ('"echo", nil, 1', "opts must be a table"),
        ('"echo", nil, {max_queue = 0}', "opts.max_queue must be"),
        ('"echo", nil, {max_queue = 1.5}', "opts.max_queue must be"),
        ('"echo", nil, {timeout = 0}', "opts.timeout must be"),
        ('"echo", nil, {timeout = 0/0}', "opts.timeout must be"),
        ('"echo", nil, {load_timeout = "1"}', "opts.load_timeout must be"),
        ('"echo", nil, {max_requests = 0}', "opts.max_requests must be a whole number from 1"),
        ('"echo", nil, {max_requests = 1/0}', "opts.max_requests must be"),
        ('"echo", nil, {max_age = 0}', "opts.max_age must be a number of seconds"),
        ('"echo", nil, {stuck_after = -1}', "opts.stuck_after must be a number of seconds"),
        ('"echo", nil, {on_stuck = "die"}', 'opts.on_stuck must be "report" or "replace"'),
        ('"echo", nil, {unpin = 1}', "opts.unpin must be a boolean"),
        ('"echo", nil, {is_global = "yes"}', "opts.is_global must be a boolean"),
    ],
)
def test_wrong_argument_is_the_callers_error(server, arguments, complaint):
    nginx = server(
        prelude="local function load(...) return ngx.load_ffi(...) end",
        lua=f"return pcall(function() local rt = load({arguments}) return rt end)",
    )
    ok, why = nginx.values()
    assert not ok
    assert complaint in why


# ---- what a library is told


def test_library_is_told_its_path(server, libraries):
    nginx = server(
        lua="""
            local _, pinned = ngx.load_ffi("inspect"):library_path()
            local _, copy = ngx.load_ffi("inspect?"):library_path()
            return pinned, copy
        """
    )
    assert nginx.values() == [str(libraries / "libinspect.so")] * 2


def test_library_is_told_the_abi_version(server):
    nginx = server(lua='return ngx.load_ffi("inspect"):abi_version()')
    assert nginx.values() == [True, "4"]


def test_library_threads_get_no_signals_but_their_own(server):
    own = "4 6 7 8 11 23 "
    nginx = server(lua='return ngx.load_ffi("inspect"):open_signals()')
    assert nginx.values() == [True, own]


def test_library_copied_over_while_mapped_keeps_working(server, tmp_path):
    nginx = server(
        library_path=[tmp_path],
        start=False,
        lua='return ngx.load_ffi("version", nil, {unpin = true}):get()',
    )
    library.build("version", tmp_path)
    nginx.start()
    assert nginx.values() == [True, "1"]
    new = library.build("version", tmp_path / "..", {"VERSION": "2"})
    shutil.copyfile(new, tmp_path / "libversion.so")
    assert nginx.values() == [True, "1"]
