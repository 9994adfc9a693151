"""Uploads over a real socket to a real gunicorn: what is accepted, what is refused, and when."""

import http.client
import json
import random
import select
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from itertools import pairwise
from pathlib import Path

import pytest

from tests.support import (
    BOUNDARY,
    FORM_TYPE,
    MP4_HEAD,
    Answer,
    Server,
    field_part,
    file_part,
    form,
    part,
    read_answer,
    wait_for,
)

MIB = 1024 * 1024
MAX_FILE_SIZE = 8 * MIB  # of the fixture `server`


def start_of_part(*words: str, **named: str | None) -> bytes:
    """Return the headers of a file part, whose content is still to come."""
    return file_part(b"", *words, **named)[: -len(b"\r\n")]


@contextmanager
def no_file_made(server: Server) -> Iterator[None]:
    """Fail when a file is made in UPLOAD_DIR, even if it was removed again."""
    before = server.upload_dir.stat().st_mtime_ns
    yield
    assert server.upload_dir.stat().st_mtime_ns == before


def refused(server: Server, body, status: int, **headers: str) -> str:
    """Return the error of an upload that must be refused, once nothing is left of it."""
    before = server.rows("SELECT COUNT(*) FROM job")
    answer = server.post(body, headers)
    assert answer.status == status, answer
    assert list(answer.json) == ["error", "code"]
    server.check_sound()
    assert server.rows("SELECT COUNT(*) FROM job") == before
    return answer.json["error"]


# -- what is accepted ---------------------------------------------------------


def test_bytes_that_look_like_multipart_are_stored_unchanged(server):
    dashes = b"--" + BOUNDARY
    contents = [
        b"\r",
        b"\n",
        b"\r\n",
        b"ends in CR\r",
        b"ends in LF\n",
        b"ends in CRLF\r\n",
        dashes + b"--\r\n",
        b"text\n" + dashes + b"\r\n",
        b"text\r\n" + dashes[:-1] + b"\r\n\r\n",
        b"\0\r\n--\r\n-" * 1000,
    ]
    answer = server.upload(*contents)
    assert answer.status == 202
    assert server.stored(answer.json["jobId"]) == contents
    assert [file["size"] for file in answer.json["files"]] == [len(each) for each in contents]
    server.check_sound()


@pytest.mark.parametrize("size", [MIB - 1, MIB, MIB + 1, MAX_FILE_SIZE])
def test_files_around_the_size_of_a_read_are_stored_unchanged(server, size):
    content = random.Random(size).randbytes(size - 2) + b"\r\n"
    answer = server.upload(content, content[::-1], content)
    assert answer.status == 202
    assert server.stored(answer.json["jobId"]) == [content, content[::-1], content]


def test_the_field_variations_may_come_before_between_or_after_the_files(server):
    files = [file_part(b"one"), file_part(b"two")]
    for place in range(3):
        parts = list(files)
        parts.insert(place, field_part("variations", "7"))
        answer = server.post(form(*parts))
        assert answer.status == 202
        assert answer.json["variationsPerVideo"] == 7
        assert server.stored(answer.json["jobId"]) == [b"one", b"two"]


def test_the_first_of_two_fields_variations_counts(server):
    fields = [field_part("variations", value) for value in ("3", "9")]
    answer = server.post(form(fields[0], file_part(b"one"), fields[1]))
    assert answer.json["variationsPerVideo"] == 3


def test_ten_files_are_accepted(server):
    answer = server.upload(*(b"file %d" % i for i in range(10)))
    assert answer.status == 202
    assert server.stored(answer.json["jobId"]) == [b"file %d" % i for i in range(10)]


def test_an_mp4_of_undeclared_type_is_accepted(server):
    for type_ in (None, "application/octet-stream"):
        answer = server.post(form(file_part(MP4_HEAD, type_=type_)))
        assert answer.status == 202


def test_a_chunked_body_without_content_length_is_accepted(server):
    content = random.Random(3).randbytes(3 * MIB)
    body = form(file_part(content), field_part("variations", "2"))
    at = [0, 1, 100, 5000, 5001, MIB, 2 * MIB + 7, len(body)]
    answer = server.post(body[start:end] for start, end in pairwise(at))
    assert answer.status == 202
    assert server.stored(answer.json["jobId"]) == [content]
    assert answer.json["variationsPerVideo"] == 2


@pytest.mark.parametrize(
    "name",
    [
        "../../etc/passwd",
        "C:\\fakepath\\a.mp4",
        "a\0b.mp4",
        "....",
        "n" * 300 + ".mp4",
        "-i.mp4",
        "a\u202egpj.mp4",
        "e\u0301.mp4",
        "a%0D%0ASet-Cookie: x=1.mp4",
        "<script>alert(1)</script>.mp4",
        "'; DROP TABLE job; --.mp4",
    ],
)
def test_a_hostile_file_name_is_only_shown(server, name):
    answer = server.post(form(file_part(b"content", name)))
    assert answer.status == 202
    assert answer.body.isascii()
    assert server.stored(answer.json["jobId"]) == [b"content"]
    shown = server.get(answer.json["statusUrl"], server.token)
    assert shown.status == 200
    assert shown.json["files"][0]["name"] == answer.json["files"][0]["name"]
    assert "Set-Cookie" not in shown.headers
    assert all(path.parent == server.upload_dir for path in server.uploads().values())
    server.check_sound()


@pytest.mark.parametrize(
    ("parameters", "shown"),
    [
        (b"filename*=UTF-8''%0d%0aX", "\r\nX"),
        (b"filename=\"a.mp4\"; filename*=UTF-8''b.mp4", "a.mp4"),
        (b'filename="\xff\xfe.mp4"', "\ufffd\ufffd.mp4"),
    ],
)
def test_an_unusual_encoding_of_the_file_name_is_accepted(server, parameters, shown):
    body = form(file_part(b"content", "NAME")).replace(b'filename="NAME"', parameters)
    answer = server.post(body)
    assert answer.status == 202
    assert answer.json["files"][0]["name"] == shown
    server.check_sound()


# -- what is refused ----------------------------------------------------------


def test_a_body_without_its_closing_boundary_is_refused_although_its_length_is_right(server):
    whole = form(file_part(b"x" * 100_000))
    for missing in (len(b"--\r\n"), len(BOUNDARY), len(BOUNDARY) + 8):
        assert "malformed" in refused(server, whole[:-missing], 400)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (form(part(b"x", 'Content-Disposition: form-data; filename="a.mp4"')), "'videos'"),
        (form(file_part(b"kept?"), file_part(b"x", field="other")), "'videos'"),
        (form(file_part(b"kept?"), file_part(b"")), "A video file is empty"),
        (form(file_part(b"kept?"), file_part(b"5", "v", "text/plain", "variations")), "'videos'"),
        (form(file_part(b"kept?"), file_part(b"x", type_="text/plain")), "Only MP4 files"),
        (form(file_part(b"\0" * 100, type_=None)), "Only MP4 files"),
        (form(field_part("variations", "5")), "No video files uploaded"),
        (form(), "No video files uploaded"),
        (b"", "No video files uploaded"),
    ],
)
def test_an_upload_with_a_wrong_part_is_a_400_and_leaves_nothing(server, body, message):
    error = refused(server, body, 400)
    assert message in error or (not body and "malformed" in error)


def test_a_form_without_a_boundary_is_a_400(server):
    body = form(file_part(b"x"))
    for type_ in ("multipart/form-data", "multipart/form-data; boundary="):
        assert refused(server, body, 400, **{"Content-Type": type_})


def test_1001_parts_are_a_400(server):
    refused(server, form(file_part(b"x"), *[field_part("f", "v")] * 1000), 400)


@pytest.mark.parametrize("where", ["preamble", "header", "epilogue", "field"])
def test_40_mb_outside_the_files_are_refused_and_take_no_memory(server, where):
    filling = b"y" * 40 * MIB
    body = {
        "preamble": [b"\r\n", filling, b"\r\n", form(file_part(b"x"))],
        "header": [file_part(b"x"), b"--", BOUNDARY, b"\r\nX-Filling: ", filling],
        "epilogue": [form(file_part(b"x")), filling],
        "field": [part(b"", 'Content-Disposition: form-data; name="f"')[:-2], filling],
    }[where]
    peaks = peak_memory(server)
    assert refused(server, b"".join(body), 413 if where == "field" else 400)
    for pid, before in peaks.items():
        assert peak_memory(server, reset=False)[pid] - before < 12 * MIB


def peak_memory(server: Server, reset: bool = True) -> dict[int, int]:
    """Return the greatest resident size of every worker in bytes, since the last reset."""
    for pid in server.workers() if reset else ():
        Path(f"/proc/{pid}/clear_refs").write_text("5")
    return {
        pid: int(Path(f"/proc/{pid}/status").read_text().split("VmHWM:")[1].split()[0]) * 1024
        for pid in server.workers()
    }


def test_one_byte_more_than_the_largest_file_is_a_413_and_every_file_is_removed(server):
    body = form(file_part(b"whole"), file_part(b"x" * (MAX_FILE_SIZE + 1)), file_part(b"whole"))
    assert refused(server, body, 413) == "File too large (at most 8 MB)"


def test_the_limits_apply_to_a_chunked_body(server):
    pieces = [start_of_part(), *[b"x" * MIB] * 8, b"x", b"\r\n--" + BOUNDARY + b"--\r\n"]
    assert refused(server, iter(pieces), 413) == "File too large (at most 8 MB)"
    assert "Too many files" in refused(server, iter([file_part(b"x")] * 11), 400)
    refused(server, iter([b"\r\n", *[b"preamble"] * 10_000]), 400)


def test_an_endless_chunked_body_is_answered_at_the_byte_after_the_limit(server):
    with server.connect() as sock:
        send_head(server, sock, "Transfer-Encoding: chunked")
        chunk = b"%x\r\n%b\r\n"
        sock.sendall(chunk % (len(start_of_part()), start_of_part()))
        for _ in range(8):
            sock.sendall(chunk % (MIB, b"x" * MIB))
        sock.sendall(chunk % (2 * MIB, b"x" * 2 * MIB))  # the body has no end
        assert read_answer(sock).status == 413
    server.check_sound()


def send_head(server: Server, sock: socket.socket, *lines: str, token: str | None = None) -> None:
    head = [
        "POST /api/jobs HTTP/1.1",
        "Host: localhost",
        f"Authorization: Bearer {token or server.token}",
        f"Content-Type: {FORM_TYPE}",
        *lines,
    ]
    sock.sendall("\r\n".join([*head, "", ""]).encode())


# -- refused early ------------------------------------------------------------


def test_a_content_length_above_all_limits_is_a_413_before_any_file_is_opened(server):
    with no_file_made(server), closing(server.begin_upload(10**13)) as sock:
        answer = read_answer(sock)
    assert answer.status == 413
    assert "at most" in answer.json["error"]
    server.check_sound()


def test_a_bad_token_is_a_401_before_any_of_the_body_is_received(server):
    with no_file_made(server), closing(server.begin_upload(50 * MIB, token="bad")) as sock:
        answer = read_answer(sock)
    assert answer.status == 401
    assert answer.headers["WWW-Authenticate"].lower().startswith("bearer")
    server.check_sound()


def test_the_11th_file_is_refused_at_its_header(server):
    sent = b"".join(file_part(b"whole") for _ in range(10)) + start_of_part()
    with closing(server.begin_upload(len(sent) + 5 * MIB)) as sock:
        # A read ends with 1 MiB or with the body, so the header shares one with its content.
        sock.sendall(sent + b"x" * MIB)
        answer = read_answer(sock)
    assert answer.status == 400
    assert answer.json == {"error": "Too many files (at most 10)", "code": "too_many_files"}
    server.check_sound()


def test_a_file_of_another_type_is_refused_at_its_header(server):
    with closing(server.begin_upload(6 * MIB)) as sock:
        sock.sendall(file_part(b"whole") + start_of_part(type_="text/plain") + b"x" * MIB)
        answer = read_answer(sock)
    assert (answer.status, answer.json["error"]) == (400, "Only MP4 files are accepted")
    server.check_sound()


@pytest.mark.parametrize(
    ("parts", "token", "status"),
    [
        ([], "bad", 401),
        ([start_of_part(type_="text/plain")], None, 400),
        ([file_part(b"whole")] * 10 + [start_of_part()], None, 400),
        ([start_of_part()], None, 413),
    ],
    ids=["a bad token", "a text file", "an 11th file", "a large file"],
)
def test_an_early_answer_is_readable_for_a_client_that_sends_50_mb_first(
    server, parts, token, status
):
    body = b"".join(parts) + b"x" * 50 * MIB
    headers = {"Content-Type": FORM_TYPE, **server.bearer(token or server.token)}
    start = time.monotonic()
    answer = server.request("POST", "/api/jobs", body, headers)
    assert time.monotonic() - start < 10
    assert answer.status == status
    assert list(answer.json) == ["error", "code"]
    server.check_sound()


# -- one connection after another request -------------------------------------


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (form(file_part(b"x", type_="text/plain")), 400),
        (form(*[file_part(b"x")] * 11), 400),
        (b"GET /api/jobs HTTP/1.1\r\nHost: smuggled\r\n\r\n" * 10, 400),
        (start_of_part(type_="text/plain") + b"GET /smuggled HTTP/1.1\r\n\r\n" * 100_000, 400),
        (start_of_part() + b"GET /smuggled HTTP/1.1\r\n\r\n" * 400_000, 413),
        (form(file_part(b"x")), 202),
    ],
    ids=["text", "11 files", "no multipart", "2 MB of requests", "10 MB of requests", "accepted"],
)
@pytest.mark.parametrize("token", ["good", "bad"])
def test_the_unread_rest_of_a_body_is_never_taken_for_a_request(server, body, status, token):
    """The next request on the connection is answered, or the connection is closed."""
    good = server.token
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    bearer = server.bearer(good if token == "good" else "bad")
    with closing(connection):
        connection.request("POST", "/api/jobs", body, {"Content-Type": FORM_TYPE, **bearer})
        first = connection.getresponse()
        assert first.status == (status if token == "good" else 401)
        first.read()
        if connection.sock is not None:
            check_next_request(connection)
    assert "smuggled" not in server.log()
    server.check_sound()


def check_next_request(connection: http.client.HTTPConnection) -> None:
    """Send a request on the open connection: the right answer, or the connection is closed."""
    connection.auto_open = 0
    try:
        connection.request("GET", "/api/health")
        answer = connection.getresponse()
        assert (answer.status, json.loads(answer.read())["volumeMounted"]) == (200, True)
    except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
        pass


def test_a_request_pipelined_behind_a_refused_body_is_answered_or_the_connection_closed(server):
    body = form(file_part(b"x", type_="text/plain"))
    with server.connect() as sock:
        head = (
            f"POST /api/jobs HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {server.token}\r\n"
            f"Content-Type: {FORM_TYPE}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        following = b"GET /api/jobs/following HTTP/1.1\r\nHost: a\r\n\r\n"
        sock.sendall(head.encode() + body + following)
        answered = b""
        sock.settimeout(3)
        while answered.count(b"HTTP/1.1 ") < 2 and (piece := sock.recv(65536)):
            answered += piece
    statuses = [line.split()[1] for line in answered.split(b"\r\n") if line.startswith(b"HTTP/")]
    assert statuses in ([b"400"], [b"400", b"401"])
    server.check_sound()


# -- concurrent uploads -------------------------------------------------------


def test_concurrent_uploads_keep_their_own_bytes(server):
    bodies = [[random.Random(i * j).randbytes(200_000 + i) for j in (1, 2)] for i in range(1, 13)]
    with ThreadPoolExecutor(4) as pool:  # one process may get them all; it takes 8
        answers = list(pool.map(lambda contents: server.upload(*contents), bodies))
    assert {answer.status for answer in answers} == {202}
    for answer, contents in zip(answers, bodies, strict=True):
        assert server.stored(answer.json["jobId"]) == contents
    server.check_sound()


def answered_within_a_second(server: Server, path: str) -> bool:
    start = time.monotonic()
    answer = server.get(path, server.token)
    return answer.status == 200 and time.monotonic() - start < 1


def test_uploads_without_a_free_slot_are_a_503_and_other_requests_are_served(own_server):
    """Two upload slots in each worker process; uploads that stall hold them all."""
    own_server.settings["MAX_UPLOADS"] = "2"
    server = own_server.start()
    job = server.upload(b"content").json
    body = form(file_part(b"x" * 2 * MIB))
    with ExitStack() as stack, ThreadPoolExecutor(1) as pool:
        started = [stack.enter_context(server.begin_upload(len(body))) for _ in range(16)]
        for sock in started:
            sock.sendall(body[:1_500_000])
        wait_for(
            lambda: sum(map(is_answered, started)) + len(parts(server)) == len(started),
            10,
            "every upload to be refused or received",
        )
        busy = [sock for sock in started if is_answered(sock)]
        held = [sock for sock in started if sock not in busy]
        assert 2 <= len(held) <= 2 * server.worker_count
        for sock in busy:
            answer = read_answer(sock)
            assert answer.status == 503
            assert answer.headers["Retry-After"].isdigit()
            assert "Too many uploads" in answer.json["error"]
        for _ in range(5):
            assert answered_within_a_second(server, "/api/health")
            assert answered_within_a_second(server, job["statusUrl"])
        list(pool.map(lambda sock: sock.sendall(body[1_500_000:]), held))
        assert [read_answer(sock).status for sock in held] == [202] * len(held)
    server.check_sound(allowed_5xx=(503,))
    assert server.upload(b"after").status == 202


def is_answered(sock: socket.socket) -> bool:
    return bool(select.select([sock], [], [], 0)[0])


def parts(server: Server) -> list[str]:
    return [name for name in server.uploads() if name.endswith(".part")]


def test_more_refused_uploads_than_threads_do_not_delay_other_requests(own_server):
    """Each has its answer and sends no more; no thread may wait for it."""
    own_server.settings["MAX_UPLOADS"] = "1"
    server = own_server.start()
    token = server.token
    with ExitStack() as stack:
        for _ in range(20 * server.worker_count):
            stack.enter_context(server.begin_upload(MIB, token="bad"))
        wait_for(lambda: 401 in server.statuses(), 5, "the first answer")
        for _ in range(20):
            start = time.monotonic()
            assert server.get("/api/jobs", token).status == 200
            assert time.monotonic() - start < 1
    server.check_sound()


# -- a full disk --------------------------------------------------------------


def post_together(server: Server, count: int, content: bytes) -> list[Answer]:
    """Upload `content` so many times; each waits until all the others are being received."""
    body, token, barrier = form(file_part(content)), server.token, threading.Barrier(count)

    def upload() -> Answer:
        with closing(server.begin_upload(len(body), token)) as sock:
            sock.sendall(body[: len(body) // 3])
            barrier.wait(30)
            sock.sendall(body[len(body) // 3 :])
            return read_answer(sock)

    with ThreadPoolExecutor(count) as pool:
        return [future.result() for future in [pool.submit(upload) for _ in range(count)]]


def check_whole_or_507(server: Server, answers: list[Answer]) -> int:
    """Fail unless each upload was kept as a whole or refused; return how many were kept."""
    statuses = sorted(answer.status for answer in answers)
    accepted = statuses.count(202)
    assert statuses == [202] * accepted + [507] * (len(answers) - accepted)
    server.check_sound(allowed_5xx=(507,))
    assert server.rows("SELECT COUNT(*), COUNT(DISTINCT job_id) FROM job_file") == [
        (accepted, accepted)
    ]
    assert len(server.uploads()) == accepted
    return accepted


@pytest.mark.tools
@pytest.mark.parametrize("small_disk", [64], indirect=True)
def test_uploads_that_fit_the_disk_singly_but_not_together_are_whole_or_a_507(
    own_server, small_disk
):
    own_server.settings |= {"UPLOAD_DIR": str(small_disk), "MAX_UPLOADS": "20"}
    own_server.upload_dir = small_disk
    server = own_server.start()
    assert check_whole_or_507(server, post_together(server, 20, b"x" * 6 * MIB)) <= 10
    assert server.upload(b"small").status == 202


def test_uploads_that_fit_the_quota_singly_but_not_together_are_whole_or_a_507(own_server):
    own_server.settings |= {"STORAGE_QUOTA": str(20 * MIB), "MAX_UPLOADS": "20"}
    server = own_server.start()
    answers = post_together(server, 20, b"x" * 6 * MIB)
    assert check_whole_or_507(server, answers) == 3
    assert all(answer.headers["Retry-After"] for answer in answers if answer.status == 507)


def test_an_upload_of_unknown_length_cannot_exceed_the_quota(own_server):
    own_server.settings["STORAGE_QUOTA"] = str(MIB)
    server = own_server.start()
    answer = server.post(iter([form(file_part(b"x" * 2 * MIB))]))
    assert check_whole_or_507(server, [answer]) == 0
    assert server.upload(b"small").status == 202


def test_a_missing_folder_is_a_503_until_it_is_back(own_server):
    server = own_server.start()
    server.upload_dir.rename(server.folder / "elsewhere")
    answer = server.upload(b"x")
    assert (answer.status, answer.json) == (
        503,
        {
            "error": "The folder for uploads or outputs is not available",
            "code": "storage_unavailable",
        },
    )
    (server.folder / "elsewhere").rename(server.upload_dir)
    assert server.upload(b"x").status == 202
    server.check_sound(allowed_5xx=(503,))


@pytest.mark.tools
@pytest.mark.parametrize("small_disk", [64], indirect=True)
def test_an_upload_larger_than_the_free_space_is_a_507_before_any_file_is_opened(
    own_server, small_disk
):
    own_server.settings |= {"UPLOAD_DIR": str(small_disk), "MIN_FREE_SPACE": str(16 * MIB)}
    own_server.upload_dir = small_disk
    server = own_server.start()
    with no_file_made(server), closing(server.begin_upload(50 * MIB)) as sock:
        answer = read_answer(sock)
    assert answer.status == 507
    assert list(answer.json) == ["error", "code"]
    server.check_sound(allowed_5xx=(507,))
    assert server.upload(b"x" * 40 * MIB).status == 202
