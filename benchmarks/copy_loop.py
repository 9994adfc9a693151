"""The least that receiving can cost: from a socket into a file, 1 MiB at a time, then a sync.

    python -m benchmarks.copy_loop PORT FOLDER

It reads Content-Length and nothing else: no form, no check, no second file.
"""

import os
import re
import socket
import sys
import tempfile
import threading

SIZE = 1024 * 1024
ANSWER = b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


def receive(client: socket.socket, folder: str) -> None:
    """Copy one body to a file of its own; answer once it is on the disk."""
    buffer = bytearray(SIZE)
    view = memoryview(buffer)
    with client, tempfile.TemporaryFile(dir=folder, buffering=0) as file:
        head = b""
        while b"\r\n\r\n" not in head:
            if not (piece := client.recv(65536)):
                return
            head += piece
        head, _, rest = head.partition(b"\r\n\r\n")
        left = int(re.search(rb"(?i)content-length: (\d+)", head)[1]) - len(rest)
        file.write(rest)
        while left:
            count = client.recv_into(view, min(left, SIZE))
            file.write(view[:count])
            left -= count
        os.fdatasync(file.fileno())
        client.sendall(ANSWER)


def main(port: int, folder: str) -> None:
    """Serve until the process is ended."""
    with socket.create_server(("127.0.0.1", port), backlog=64) as listener:
        while True:
            client, _ = listener.accept()
            threading.Thread(target=receive, args=(client, folder), daemon=True).start()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
