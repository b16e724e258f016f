"""The examples in Node.js, without nginx and in one."""

import json
import os
import re
import shutil
import subprocess
from datetime import datetime, timedelta, timezone
from ipaddress import IPv4Address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from harness import target
from harness.config import TESTS
from harness.nodejs import Nodejs
from harness.wait import wait_for

EXAMPLES = TESTS.parent / "examples" / "nodejs"


def run_tests(file):
    """As docs/nodejs.md says."""
    packages = target.find().libdir / "node_modules"
    run = subprocess.run(
        [shutil.which("node"), "--test", file],
        env={**os.environ, "NODE_PATH": str(packages)},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert re.search(r"^\S pass [1-9]", run.stdout, re.MULTILINE)


@pytest.mark.no_asan("runs no nginx")
@pytest.mark.parametrize(
    "file", ["examples/nodejs/counter.test.js", "nodejs_loader/test/testing.test.js"]
)
def test_unit_test_passes_under_a_plain_node(file):
    run_tests(TESTS.parent / file)


def test_echo_in_nginx(nodejs):
    assert nodejs.answer(f"{EXAMPLES}/echo,init", "hello") == "hello"


def test_counter_in_nginx(nodejs):
    counter = f'{EXAMPLES}/counter,init,{{"limit": 1}}'
    assert nodejs.call(counter, "ada", method="hit") == [True, "1"]
    assert nodejs.call(counter, "ada", method="hit") == [False, 429, "too many"]


# ---- HTTP/2


@pytest.fixture
def origin(nodejs, tmp_path):
    """A server, in the folder of an nginx with its gate."""
    _make_certificate(tmp_path)
    nodejs.start(server="lua_check_client_abort on;")
    command = [shutil.which("node"), TESTS / "apps/http2_server.js", "key.pem", "cert.pem"]
    for name in ("key.pem", "cert.pem"):
        shutil.copy(tmp_path / name, nodejs.nginx.folder)
    with subprocess.Popen(
        command, cwd=nodejs.nginx.folder, stdout=subprocess.PIPE, text=True
    ) as server:
        yield f"https://127.0.0.1:{server.stdout.readline().strip()}"
        server.kill()


@pytest.fixture
def client(tmp_path):
    return f"{EXAMPLES}/http2,init,{json.dumps({'ca': str(tmp_path / 'cert.pem')})}"


def test_http2_client_gets_what_the_server_says(nodejs, client, origin):
    request = {"url": f"{origin}/some?thing", "method": "POST", "body": "hello"}
    response = json.loads(nodejs.call(client, json.dumps(request), method="fetch")[1])
    assert response["status"] == 200
    assert response["body"] == "/some?thing hello"
    assert (response["headers"]["x-method"], response["headers"]["x-version"]) == ("POST", "2.0")


def test_http2_client_keeps_one_connection(nodejs, client, origin):
    request = json.dumps({"url": f"{origin}/"})
    nodejs.call(client, request, method="fetch")
    before = nodejs.nginx.usage().sockets
    calls = [nodejs.call(client, request, method="fetch")[0] for _ in range(20)]
    assert calls == [True] * 20
    wait_for(lambda: nodejs.nginx.usage().sockets <= before)


@pytest.mark.parametrize("text", ["", "{}"])
def test_http2_client_does_not_trust_everyone(nodejs, origin, text):
    request = json.dumps({"url": f"{origin}/"})
    ok, rc, why = nodejs.call(f"{EXAMPLES}/http2,init,{text}", request, method="fetch")
    assert (ok, rc) == (False, 502)
    assert "self-signed certificate" in why


def test_certificates_of_the_environment_are_trusted(nodejs, origin, server, tmp_path):
    other = Nodejs(server, tmp_path)
    other.start(env={"SSL_CERT_FILE": str(tmp_path / "cert.pem")})
    request = json.dumps({"url": f"{origin}/"})
    assert other.call(f"{EXAMPLES}/http2,init", request, method="fetch")[0] is True


def test_http2_request_is_given_up_with_its_caller(nodejs, client, origin):
    request = json.dumps({"url": f"{origin}/never"})
    with nodejs.nginx.connect(nodejs.path("call", client, request, method="fetch")):
        assert nodejs.nginx.gate.wait().name == "asked"
    assert nodejs.nginx.gate.wait().name == "given up"


def _make_certificate(folder):
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), False
        )
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    (folder / "cert.pem").write_bytes(certificate.public_bytes(pem))
    (folder / "key.pem").write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
