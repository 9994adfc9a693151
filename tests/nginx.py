"""The real nginx with the project's configuration."""

import os
import shutil
import signal
import socket
import subprocess
from contextlib import closing
from pathlib import Path

from tests.support import PROJECT, free_port, wait_for

TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


class Nginx:
    """nginx with the project's snippet; it has no folder to keep temporary files in."""

    def __init__(self, folder: Path, upstream: int, user: str = "root", **replaced: str) -> None:
        """user: that root's nginx serves as; by default root, who may enter any folder."""
        self.folder = folder
        self._user = user
        self.port = free_port()
        snippet = (PROJECT / "deploy/nginx.conf").read_text()
        replacements = {
            "listen 80;": f"listen 127.0.0.1:{self.port};",
            "server 127.0.0.1:8080;": f"server 127.0.0.1:{upstream};",
            **replaced,
        }
        for ours, theirs in replacements.items():
            assert snippet.count(ours) == 1, ours
            snippet = snippet.replace(ours, theirs)
        (folder / "jobserver.conf").write_text(snippet)
        (folder / "nginx.conf").write_text(self._main())
        self.process: subprocess.Popen[bytes] | None = None

    def _main(self) -> str:
        temporary = "".join(f"{name}_temp_path {self.folder}/{name};\n" for name in TEMPORARY)
        return (
            f"daemon off;\npid {self.folder}/pid;\nerror_log {self.error_log} info;\n"
            f"{f'user {self._user};' if os.geteuid() == 0 else ''}\n"
            "worker_processes 1;\nevents { worker_connections 256; }\n"
            f"http {{\naccess_log {self.folder}/access.log;\n{temporary}"
            f"include {self.folder}/jobserver.conf;\n}}\n"
        )

    @property
    def error_log(self) -> Path:
        return self.folder / "error.log"

    def start(self) -> "Nginx":
        nginx = shutil.which("nginx") or "/usr/sbin/nginx"
        command = [nginx, "-p", str(self.folder), "-c", "nginx.conf", "-e", str(self.error_log)]
        with (self.folder / "output").open("wb") as output:
            self.process = subprocess.Popen(command, stdout=output, stderr=output)
        wait_for(self._listens, 10, "nginx")
        for name in TEMPORARY:  # a body or an answer kept in a file is from now on an error
            (self.folder / name).rmdir()
        return self

    def _listens(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, (self.folder / "output").read_text()
        with closing(socket.socket()) as sock:
            return sock.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(10)
            assert "[crit]" not in self.error_log.read_text()
            assert "temporary file" not in self.error_log.read_text()

    def connect(self, source: str = "127.0.0.1") -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), 30, (source, 0))
