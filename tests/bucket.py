"""A real S3 server of one's own: JuiceFS's gateway, over SQLite and a folder, on loopback alone."""

import os
import signal
import subprocess
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from boto3.session import Session

from tests.support import BIN, free_port, wait_for

ACCESS_KEY, SECRET_KEY = "testkey", "secret for tests"
BUCKET = "media"


class Gateway:
    """The server of one folder; what it stores outlives kill() and start()."""

    def __init__(self, folder: Path, address: str = "127.0.0.1") -> None:
        self.folder, self.address, self.port = folder, address, free_port()
        self.log_path = folder / "gateway.log"
        self.process: subprocess.Popen[bytes] | None = None
        self._meta = f"sqlite3://{folder / 'meta.db'}"
        self._run(
            "format", "--storage", "file", "--bucket", f"{folder / 'data'}/", self._meta, BUCKET
        )

    @property
    def url(self) -> str:
        return f"http://{self.address}:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """What boto reads, and nothing of this machine's own."""
        return {
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_ENDPOINT_URL_S3": self.url,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        }

    def client(self) -> Any:
        return Session(ACCESS_KEY, SECRET_KEY, region_name="us-east-1").client(
            "s3", endpoint_url=self.url
        )

    def command(self) -> list[str]:
        """What serves the folder, with `secrets` in its environment."""
        return [
            *(str(BIN / "juicefs"), "--no-agent"),
            *("gateway", "--multi-buckets", "--no-banner", "--no-usage-report", "--no-bgjob"),
            *("--keep-etag", "--object-meta", "--backup-meta", "0"),
            *("--log", str(self.folder / "juicefs.log"), "--metrics", "127.0.0.1:0"),
            *("--cache-dir", str(self.folder / "cache"), self._meta, f"{self.address}:{self.port}"),
        ]

    @property
    def secrets(self) -> dict[str, str]:
        """The environment of the program itself."""
        keys = {"MINIO_ROOT_USER": ACCESS_KEY, "MINIO_ROOT_PASSWORD": SECRET_KEY}
        return {"PATH": os.environ["PATH"], "HOME": str(self.folder), **keys}

    def start(self) -> "Gateway":
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                self.command(), env=self.secrets, stdout=log, stderr=log
            )
        process = self.process

        def answers() -> bool:
            assert process.poll() is None, self.log_path.read_text()
            return self.answers()

        wait_for(answers, 30, "the gateway's start")
        self.make_bucket()
        return self

    def make_bucket(self) -> None:
        client = self.client()
        if BUCKET not in [each["Name"] for each in client.list_buckets()["Buckets"]]:
            client.create_bucket(Bucket=BUCKET)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait(10)

    def freeze(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def keys(self, prefix: str = "") -> set[str]:
        """The keys of all objects below a prefix."""
        pages = self.client().get_paginator("list_objects_v2")
        found = pages.paginate(Bucket=BUCKET, Prefix=prefix)
        return {each["Key"] for page in found for each in page.get("Contents", ())}

    def unfinished(self, prefix: str = "") -> list[str]:
        """The keys of uploads in parts that were only begun."""
        answer = self.client().list_multipart_uploads(Bucket=BUCKET, Prefix=prefix)
        return [each["Key"] for each in answer.get("Uploads", ())]

    def answers(self) -> bool:
        """Whether it takes requests."""
        try:
            urllib.request.urlopen(self.url, timeout=2)
        except urllib.error.HTTPError:  # it wants to know who asks
            return True
        except OSError:
            return False
        return True

    def _run(self, *words: str) -> None:
        subprocess.run(
            [BIN / "juicefs", "--no-agent", *words], check=True, capture_output=True, timeout=60
        )
