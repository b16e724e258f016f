"""lua_ffi_status: what it shows, how, and to whom."""

import json
import re

import pytest
import requests
from harness.status import LOCATION, runtime, status
from prometheus_client.parser import text_string_to_metric_families

ECHO = 'return ngx.load_ffi("echo", ngx.var.arg_cfg):echo("x")'

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


@pytest.fixture
def shown(server):
    def start(lua=ECHO, **options):
        return server(server=LOCATION, lua=lua, **options)

    return start


def families(nginx):
    text = nginx.get("/status?format=prometheus").text
    return {family.name: family for family in text_string_to_metric_families(text)}


def load(nginx, cfg):
    """Loads a runtime of any configuration; returns what is shown of it."""
    assert nginx.post("/", cfg).json() == [True]
    return runtime(nginx, "echo")


ANY = 'ngx.req.read_body() return ngx.load_ffi("echo", ngx.req.get_body_data()) ~= nil'

# ---- formats


@pytest.mark.parametrize(
    ("asked", "headers", "answered"),
    [
        ("", {}, "text/plain; version=0.0.4; charset=utf-8"),
        ("", {"Accept": "application/json"}, "application/json"),
        (
            "",
            {"Accept": "application/openmetrics-text"},
            "text/plain; version=0.0.4; charset=utf-8",
        ),
        ("?format=json", {"Accept": BROWSER}, "application/json"),
        ("?format=prometheus", {"Accept": BROWSER}, "text/plain; version=0.0.4; charset=utf-8"),
    ],
)
def test_format_is_chosen(shown, asked, headers, answered):
    response = shown().get("/status" + asked, headers={"Accept": "*/*", **headers})
    assert response.status_code == 200
    assert response.headers["Content-Type"] == answered
    assert response.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("path", ["/status", "/status?", "/status?x=1&format=prometheus"])
def test_request_without_any_header_gets_text(shown, path):
    nginx = shown()
    with nginx.connect(path) as connection, connection.makefile("rb") as answer:
        assert answer.readline() == b"HTTP/1.1 200 OK\r\n"
        assert b"resty_ffi_build_info{" in answer.read()


@pytest.mark.parametrize("accept", ["", "a", "text/htm", "," * 5000])
def test_odd_accept_gets_text(shown, accept):
    response = shown().get("/status", headers={"Accept": accept})
    assert response.headers["Content-Type"].startswith("text/plain")


def test_unknown_format_is_refused(shown):
    nginx = shown()
    assert nginx.get("/status?format=xml").status_code == 400
    assert nginx.get("/status?format=").status_code == 400


def test_only_get_and_head_are_answered(shown):
    nginx = shown()
    assert nginx.post("/status").status_code == 405


def test_head_has_the_length_and_no_body(shown):
    nginx = shown()
    response = requests.head(nginx.url + "/status", timeout=10)
    assert int(response.headers["Content-Length"]) > 100
    assert response.content == b""


def test_nothing_is_shown_before_anything_is_loaded(shown):
    nginx = shown()
    assert status(nginx)["runtimes"] == []
    assert families(nginx)["resty_ffi_calls"].samples == []


def test_directive_takes_nothing_and_belongs_to_a_location(server):
    for wrong in ("location /a { lua_ffi_status on; }", "lua_ffi_status;"):
        nginx = server(start=False, server=wrong)
        assert nginx.check_config().returncode != 0


# ---- Prometheus


def test_names_and_units_are_those_of_openmetrics(shown):
    nginx = shown()
    nginx.values()
    for name, family in families(nginx).items():
        assert re.fullmatch("resty_ffi_[a-z]+(_[a-z]+)*", name)
        assert family.documentation.endswith(".")
        assert family.type in ("counter", "gauge", "histogram")
        if family.type == "histogram":
            assert name.endswith("_seconds")


def test_numbers_of_both_formats_are_the_same(shown):
    nginx = shown()
    nginx.values()
    told = {
        name: [sample.value for sample in family.samples if sample.name.endswith(("_total", name))]
        for name, family in families(nginx).items()
    }
    (worker,) = runtime(nginx, "echo")["workers"]
    for name in ("calls", "request_bytes", "loads", "pollers", "threads", "queue_depth"):
        assert told["resty_ffi_" + name] == [worker[name]]
    assert worker["calls"] == worker["request_bytes"] == 1


def test_samples_are_labelled(shown):
    nginx = shown()
    nginx.values("/?cfg=it")
    (sample,) = families(nginx)["resty_ffi_calls"].samples
    echo = runtime(nginx, "echo")
    labels = {"runtime": echo["id"], "library": "echo", "entry": "", "worker": "0"}
    assert sample.labels == labels
    states = families(nginx)["resty_ffi_runtime_state"].samples
    assert [one.labels["state"] for one in states if one.value] == ["ready"]


def test_histogram_is_cumulative_and_complete(shown):
    nginx = shown()
    for _ in range(5):
        nginx.values()
    samples = families(nginx)["resty_ffi_guest_seconds"].samples
    buckets = [one for one in samples if one.name.endswith("_bucket")]
    bounds = [float(one.labels["le"]) for one in buckets]
    counts = [one.value for one in buckets]
    assert bounds == [*(2**i / 1e6 for i in range(27)), float("inf")]
    assert counts == sorted(counts)
    (count,) = (one.value for one in samples if one.name.endswith("_count"))
    assert count == counts[-1] == 5


# ---- configurations


def test_entry_of_a_loader_is_shown_and_its_text_is_not(server, tmp_path):
    (tmp_path / "app.py").write_text("import resty_ffi\ninit = resty_ffi.serve(lambda r: r)\n")
    nginx = server(
        server=LOCATION,
        lua=f"return ngx.load_ffi('ffi_python3?', '{tmp_path}/app,init,hunter2') ~= nil",
    )
    assert nginx.values() == [True]
    python = runtime(nginx, "ffi_python3?")
    assert python["entry"] == f"{tmp_path}/app,init"
    assert python["configuration"] == "***"


@pytest.mark.parametrize(
    ("cfg", "configuration"),
    [
        ("hunter2", "***"),
        ('{"size": 3, "password": "hunter2"}', '{"size":3,"password":"***"}'),
        ('{"url": "redis://me:hunter2@host"}', '{"url":"***"}'),
    ],
)
def test_secrets_are_masked_in_every_format(shown, cfg, configuration):
    nginx = shown(lua=ANY)
    assert load(nginx, cfg)["configuration"] == configuration
    (info,) = families(nginx)["resty_ffi_runtime_info"].samples
    assert info.labels["configuration"] == configuration
    for form in ("json", "prometheus"):
        assert "hunter2" not in nginx.get(f"/status?format={form}").text


HOSTILE = [
    b'{"a":"quote \' <script>alert(1)</script> & }, {"}',
    b'{"a":"\xff\xfe\xc3 \xe2\x82\xac \xed\xa0\x80 \xc0\x80 \xf5\x80\x80\x80 \xf0\x9f\x98\x80"}',
    '{"ä":"€"}'.encode(),
    b'{"a":"' + b"x" * 64 + b'","b":"' + b"\xe2\x82\xac" * 20 + b'"' + b',"c":1' * 100 + b"}",
]


@pytest.mark.parametrize("cfg", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_configuration_spoils_no_format(shown, cfg):
    nginx = shown(lua=ANY)
    assert load(nginx, cfg)["configuration"].startswith("{")
    (info,) = families(nginx)["resty_ffi_runtime_info"].samples
    assert info.labels["configuration"] == load(nginx, cfg)["configuration"]
    for form in ("json", "prometheus"):
        nginx.get(f"/status?format={form}").content.decode()


def test_hostile_names_spoil_no_format(server, tmp_path):
    name = 'a"\\<b>\n\x01\x7f\xe9'
    folder = tmp_path / "x"
    nginx = server(
        server=LOCATION,
        lua="ngx.req.read_body() return ngx.load_ffi('ffi_python3', ngx.req.get_body_data())",
    )
    nginx.expect_log("failed to load")
    nginx.post("/", (str(folder) + "/" + name).encode("latin-1"))
    entry = runtime(nginx, "ffi_python3")["entry"]
    assert entry == f'{folder}/a"\\<b>\n\x01\x7f\ufffd'
    (info,) = families(nginx)["resty_ffi_runtime_info"].samples
    assert info.labels["entry"] == f'{folder}/a"\\<b>\n??\ufffd'


def test_hostile_error_spoils_no_format(server):
    nginx = server(
        server=LOCATION,
        lua="""
            local message = '"\\\\\\n<b>\\255\\1' .. ("\\226\\130\\172"):rep(99)
            return ngx.load_ffi("fail"):fail("1:" .. message)
        """,
    )
    nginx.values()
    (worker,) = runtime(nginx, "fail")["workers"]
    assert worker["error"]["message"].startswith('"\\\n<b>\ufffd\x01€€')


# ---- names of runtimes


def test_id_of_a_runtime_is_the_same_in_all_workers_and_after_reloads(shown):
    nginx = shown(
        workers=2,
        http='init_worker_by_lua_block { package.loaded.it = ngx.load_ffi("echo", "it") }',
    )
    echo = runtime(nginx, "echo")
    assert len(echo["workers"]) == 2
    nginx.reload()
    assert runtime(nginx, "echo")["id"] == echo["id"]


def test_id_does_not_depend_on_what_is_masked(shown):
    """Else it would let a secret be guessed at."""
    ids = {load(shown(lua=ANY), secret)["id"] for secret in ("hunter2", "hunter3")}
    assert len(ids) == 1


def test_runtimes_that_differ_in_what_is_masked_have_ids_of_their_own(shown):
    nginx = shown()
    for cfg in ("one", "two", "three"):
        nginx.values(f"/?cfg={cfg}")
    nginx.values("/?cfg=one")
    ids = sorted(one["id"] for one in status(nginx)["runtimes"])
    assert ids == [ids[0], ids[0] + "-2", ids[0] + "-3"]
    calls = {one["id"]: one["workers"][0]["calls"] for one in status(nginx)["runtimes"]}
    assert calls == dict(zip(ids, (2, 1, 1)))


def test_status_of_many_runtimes_is_whole(shown):
    nginx = shown(
        lua="""
            for i = 1, 300 do
                ngx.load_ffi("echo", tostring(i)):__unload(10)
            end
        """
    )
    nginx.values()
    assert len(json.loads(nginx.get("/status?format=json").text)["runtimes"]) == 300
    assert len(families(nginx)["resty_ffi_calls"].samples) == 300
