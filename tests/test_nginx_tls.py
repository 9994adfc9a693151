"""The real nginx with deploy/nginx-tls.conf and a certificate that is made for the test."""

import http.client
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.nginx import Nginx
from tests.support import PROJECT, Answer, Server, free_port

pytestmark = pytest.mark.tools
CERTIFICATE = "/etc/letsencrypt/live/videos.example/"
HSTS = "Strict-Transport-Security"


class TlsNginx(Nginx):
    def __init__(self, folder: Path, upstream: int) -> None:
        tls, port = (PROJECT / "deploy/nginx-tls.conf").read_text(), free_port()
        changes = {
            "listen 443 ssl;": f"listen 127.0.0.1:{port} ssl;",
            "listen [::]:443 ssl;\n": "",
            f"{CERTIFICATE}fullchain.pem": f"{folder}/cert.pem",
            f"{CERTIFICATE}privkey.pem": f"{folder}/key.pem",
            "root /var/www/html;": f"root {folder};",
        }
        for ours, theirs in changes.items():
            assert tls.count(ours) == 1, ours
            tls = tls.replace(ours, theirs)
        (folder / "jobserver-tls.conf").write_text(tls)
        included = "include /etc/nginx/jobserver-tls*.conf;"
        super().__init__(
            folder, upstream, **{included: included.replace("/etc/nginx", str(folder))}
        )
        self.tls_port = port
        self.context = ssl.create_default_context(cafile=f"{folder}/cert.pem")

    def get(self, path: str, **headers: str) -> Answer:
        connection = http.client.HTTPSConnection(
            "localhost", self.tls_port, timeout=30, context=self.context
        )
        with closing(connection):
            connection.request("GET", path, headers=headers)
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())


@pytest.fixture(scope="module")
def secured(shared_server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsNginx]:
    folder = tmp_path_factory.mktemp("tls")
    words = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1"
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    files = ["-keyout", folder / "key.pem", "-out", folder / "cert.pem"]
    subprocess.run([*words.split(), *names, *files], check=True, capture_output=True)
    nginx = TlsNginx(folder, shared_server.port)
    yield nginx.start()
    nginx.stop()


def test_every_answer_over_tls_has_hsts_also_what_nginx_answers_itself(secured: TlsNginx) -> None:
    for path, status in (
        ("/api/health", 200),
        ("/api/jobs", 401),
        (f"/{'x' * 40_000}", 414),
    ):
        answer = secured.get(path)
        assert (answer.status, answer.headers.get_all(HSTS)) == (status, ["max-age=31536000"])


def test_without_tls_everything_is_sent_there_but_a_proof_for_the_authority(
    shared_server: Server, secured: TlsNginx
) -> None:
    for method in ("GET", "POST"):
        answer = shared_server.request(method, "/api/jobs?limit=3", port=secured.port)
        assert (answer.status, answer.headers[HSTS]) == (301, None)
        assert answer.headers["Location"].partition("/api/")[2] == "jobs?limit=3"
        assert answer.headers["Location"].startswith("https://127.0.0.1")
    proof = secured.folder / ".well-known/acme-challenge/proof"
    proof.parent.mkdir(parents=True)
    proof.write_text("it is ours")
    found = shared_server.request("GET", "/.well-known/acme-challenge/proof", port=secured.port)
    assert (found.status, found.body) == (200, b"it is ours")


def test_old_versions_of_tls_are_refused(secured: TlsNginx) -> None:
    secured.context.minimum_version = ssl.TLSVersion.TLSv1
    secured.context.maximum_version = ssl.TLSVersion.TLSv1_1
    try:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            secured.get("/api/health")
    finally:
        secured.context.maximum_version = ssl.TLSVersion.MAXIMUM_SUPPORTED
