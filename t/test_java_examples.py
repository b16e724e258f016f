"""examples/java, and the location of docs/java.md."""

import datetime
import ipaddress

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from harness import reader
from harness.config import TESTS
from harness.java import compile_into
from harness.port import Port

EXAMPLES = TESTS.parent / "examples" / "java"
DOC = reader.blocks(TESTS.parent / "docs" / "java.md")


def test_echo(java):
    compile_into(java.classes, [EXAMPLES / "demo" / "echo" / "App.java"])
    assert java.answer("demo.echo.App,init,you said: ", "hello") == "you said: hello"


@pytest.fixture
def certificate(tmp_path):
    """The files of a certificate for 127.0.0.1, and of its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.timezone.utc)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (tmp_path / "cert.pem").write_bytes(made.public_bytes(pem))
    (tmp_path / "key.pem").write_bytes(key.private_bytes(pem, *plain))
    return tmp_path / "cert.pem", tmp_path / "key.pem"


def test_http2_client_asks_a_tls_server(java, certificate):
    compile_into(java.classes, [EXAMPLES / "demo" / "http2" / "App.java"])
    port = Port()
    cert, key = certificate
    java.start(
        http=f"""
            server {{
                listen 127.0.0.1:{port.number} ssl http2;
                keepalive_timeout 1s;
                ssl_certificate {cert};
                ssl_certificate_key {key};
                location / {{ return 200 "$server_protocol $request_uri"; }}
                location /no {{ return 404 "nothing"; }}
            }}
        """,
    )
    url, cfg = f"https://127.0.0.1:{port.number}", f"demo.http2.App?,init,{cert}"
    assert java.call(cfg, f"{url}/", method="get") == [True, "HTTP/2.0 /"]
    paths = [java.path("call", cfg, f"{url}/{i}", method="get") for i in range(8)]
    calls = [java.nginx.begin(path) for path in paths]
    assert [call.result() for call in calls] == [[True, f"HTTP/2.0 /{i}"] for i in range(8)]
    assert java.call(cfg, f"{url}/no", method="get") == [False, 404, "nothing"]
    # a server that nobody vouches for
    assert java.call("demo.http2.App?,init,", url, method="get")[:2] == [False, 1]
    java.unload(cfg)
    port.release()


@pytest.fixture
def counter(java):
    """The first ten minutes, compiled."""
    (source,) = (block.text for block in DOC if block.file == "Counter.java")
    path = java.folder / "Counter.java"
    path.write_text(source)
    compile_into(java.classes, [path])
    return java


def test_location_lets_as_many_pass_as_it_says(counter):
    (location,) = (block.text for block in DOC if "location /api/" in block.text)
    location = location.replace("/srv/app/classes", str(counter.classes)).replace("100", "2")
    nginx = counter.start(http="upstream backend { server unix:/nonexistent; }", server=location)
    nginx.expect_log("connect.. to unix:/nonexistent failed")
    statuses = [nginx.get("/api/").status_code for _ in range(3)]
    assert statuses == [502, 502, 429]
