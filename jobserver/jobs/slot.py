"""One slot of a worker: claim, render, publish, again.

A claim renders the next few missing variations of one file, lists them and lets the file
go: the first are seen early, a large job lets small ones through, and whoever claims a file
after a crash goes on where it stopped.
"""

import errno
import logging
import os
import socket
import sqlite3
import threading
import time
from collections.abc import Mapping, Sequence
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

from jobserver import render
from jobserver.db import connect, transaction
from jobserver.jobs import expiry, lease, output, store
from jobserver.jobs.lease import Claim, Heart

IDLE_S = 0.5
LOCK_S = 30.0  # a finished render is worth a longer wait for the database than a request is
RETRY_DELAYS_S = (5.0, 30.0)  # before the second and the third attempt
GAVE_UP = f"This video could not be rendered; {store.MAX_ATTEMPTS} attempts failed."

log = logging.getLogger(__name__)


class Slot:
    """Renders one claim after the other; `work_once` returns whether it found any."""

    def __init__(self, config: Mapping[str, Any], heart: Heart, stopping: threading.Event) -> None:
        self._database: Path = config["DATABASE"]
        self._storage = expiry.Storage.of(config)
        self._uploads, self._outputs = self._storage.uploads, self._storage.outputs
        self._settings = render_settings(config)
        self._heart = heart
        self._stopping = stopping
        self._name = f"{socket.gethostname()}:{os.getpid()}"
        self._made_with = made_with(self._settings)
        self._probed: tuple[str, render.Media] | None = None

    @cached_property
    def _db(self) -> sqlite3.Connection:
        """Made by the thread that works: sqlite3 lets no other use it."""
        return connect(self._database, LOCK_S)

    def run(self) -> None:
        """Work until the worker stops; a mistake of ours costs a file an attempt, not a slot."""
        while not self._stopping.is_set():
            try:
                found = self.work_once()
            except sqlite3.OperationalError as error:  # busy or full: nothing was claimed
                log.warning("cannot claim: %s", error)
                found = False
            except Exception:
                log.exception("the slot goes on after an error")
                found = False
            if not found:
                self._stopping.wait(IDLE_S)
        self._db.close()

    def work_once(self) -> bool:
        """Claim the next file, render its next variations and publish them."""
        if not store.has_waiting(self._db, lease.LEASE_S, time.time()):
            return False
        file = store.claim(self._db, self._name, lease.LEASE_S, time.time())
        if file is None:
            return False
        claim = Claim(file, progress=file["progress"])
        with self._heart.keeping(claim):
            self._attempt(claim)
        return True

    def _attempt(self, claim: Claim) -> None:
        if claim.file["attempts"] > store.MAX_ATTEMPTS:  # it ended its workers
            store.fail(self._db, claim.file, GAVE_UP, time.time())
            return
        if not self._has_folders():  # they come back, and what is in them with them
            self._later(claim, RETRY_DELAYS_S[-1], counted=False)
            return
        try:
            self._render_next(claim)
        except render.Cancelled:
            if not claim.lost:
                self._later(claim, 0, counted=False)
        except render.MediaError as error:
            log.info("%s: %s %s", claim.file["id"], error, error.detail)
            store.fail(self._db, claim.file, str(error), time.time())
        except (render.EngineError, OSError, sqlite3.OperationalError) as error:
            self._after_trouble(claim, error)

    def _after_trouble(self, claim: Claim, error: Exception) -> None:
        """Try again later: for ever while a disk is full, else MAX_ATTEMPTS times."""
        log.warning("%s: %s %s", claim.file["id"], error, getattr(error, "detail", ""))
        attempts = claim.file["attempts"]
        if _is_for_want_of_space(error):
            self._later(claim, RETRY_DELAYS_S[-1], counted=False)
        elif attempts >= store.MAX_ATTEMPTS:
            store.fail(self._db, claim.file, GAVE_UP, time.time())
        else:
            self._later(claim, RETRY_DELAYS_S[attempts - 1])

    def _has_folders(self) -> bool:
        """Return whether both folders are there and ours: a volume may not be mounted."""
        try:
            return expiry.are_ours(self._db, self._storage)
        except OSError as error:
            log.warning("a folder is not available: %s", error)
            return False

    def _later(self, claim: Claim, delay_s: float, counted: bool = True) -> None:
        store.try_later(self._db, claim.file, delay_s, time.time(), counted)

    def _render_next(self, claim: Claim) -> None:
        """Render the next group of missing variations; publish them in one step."""
        job = store.job_of(self._db, claim.file)
        media = self._media(claim)
        done = store.finished_numbers(self._db, claim.file)
        missing = [n for n in range(1, job["variations_per_video"] + 1) if n not in done]
        numbers = missing[: render.group_size(media, self._settings)]

        def note(share: float) -> None:
            claim.progress = (len(done) + share * len(numbers)) / job["variations_per_video"]

        with output.workshop(self._outputs, claim.file) as folder:
            start = time.monotonic()
            wanted = [
                (render.parameters(job["seed"], n, job["recipe"]), folder / f"{n}.mp4")
                for n in numbers
            ]
            path = self._uploads / claim.file["stored_name"]
            rendered = list(render.render(path, media, wanted, self._settings, note, claim.cancel))
            seconds = (time.monotonic() - start) / max(1, len(numbers))
            self._publish(claim, rendered, seconds, last=len(numbers) == len(missing))

    def _media(self, claim: Claim) -> render.Media:
        """Probe the file once; a claim of the same file right after knows it already."""
        file = claim.file
        if self._probed is None or self._probed[0] != file["id"]:
            path = self._uploads / file["stored_name"]
            media = render.probe(path, self._settings, claim.cancel)
            if file["sha256"] is None:
                self._note_source(claim, path, media)
            self._probed = (file["id"], media)
        return self._probed[1]

    def _note_source(self, claim: Claim, path: Path, media: render.Media) -> None:
        """Note what the source is and show a picture of it, unless the claim is lost.

        A video renders without a picture too.
        """
        name = f"{claim.file['id']}.webp"
        with output.workshop(self._outputs, claim.file) as folder:
            picture = self._thumbnail(claim, path, folder / name)
            facts = {**_facts(path, media), "thumbnail": name if picture else None}
            with transaction(self._db):
                if store.note_media(self._db, claim.file, facts) and picture is not None:
                    os.rename(picture, folder.parent / name)

    def _thumbnail(self, claim: Claim, path: Path, out: Path) -> Path | None:
        try:
            render.thumbnail(path, out, self._settings, claim.cancel)
        except render.MediaError as error:
            log.info("%s: no thumbnail: %s %s", claim.file["id"], error, error.detail)
            return None
        return out

    def _publish(
        self, claim: Claim, rendered: Sequence[render.Output], seconds: float, last: bool
    ) -> None:
        """Show whole outputs: files first, rows next, in one transaction of the claim's holder.

        Inside it nobody else can claim or cancel the file, so nobody who lost it renames.
        """
        pictures = [
            self._thumbnail(claim, each.path, each.path.with_suffix(".webp")) for each in rendered
        ]
        published = [
            _published(claim.file, each, seconds, picture, self._made_with)
            for each, picture in zip(rendered, pictures, strict=True)
        ]
        folder = self._outputs / claim.file["job_id"]
        with transaction(self._db):
            if not store.let_go(self._db, claim.file, claim.progress, last, time.time()):
                return
            for each, picture, row in zip(rendered, pictures, published, strict=True):
                if picture is not None and row.thumbnail is not None:
                    os.rename(picture, folder / row.thumbnail)
                os.rename(each.path, folder / row.name)
            output.sync_folder(folder)
            store.insert_outputs(self._db, claim.file, published, time.time())


def _is_for_want_of_space(error: Exception) -> bool:
    return (
        isinstance(error, render.DiskFull)
        or getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT)
        or getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
    )


def _facts(path: Path, media: render.Media) -> dict[str, Any]:
    width, height = media.displayed
    sha256 = output.sha256_of(path)
    return {"duration": media.duration, "width": width, "height": height, "sha256": sha256}


def _published(
    file: sqlite3.Row, rendered: render.Output, seconds: float, picture: Path | None, made: str
) -> store.Published:
    """Make one output durable under its temporary name and describe it."""
    assert rendered.parameters is not None  # noqa: S101  only benchmarks render without
    output.make_durable(rendered.path)
    number = rendered.parameters.index
    name = output.output_name(file, number)
    return store.Published(
        output.output_id(file, number),
        number,
        name,
        rendered.path.stat().st_size,
        output.sha256_of(rendered.path),
        output.crc32_of(rendered.path),
        rendered.parameters.values,
        seconds,
        None if picture is None else str(Path(name).with_suffix(".webp")),
        made,
    )


def made_with(settings: render.Settings) -> str:
    """Return what decides an output's bytes beside its source: server, ffmpeg, encoder."""
    encoding = settings.encoding
    words = (encoding.encoder, encoding.preset, *encoding.rate)
    return f"jobserver {version('jobserver')}; {render.version(settings)}; {' '.join(words)}"


def render_settings(config: Mapping[str, Any]) -> render.Settings:
    """Take the limits and the encoder from the settings.

    Encoders in libraries run without devices, so ffmpeg is confined to its files; hardware
    encoders need their devices.
    """
    encoding = render.Encoding(
        encoder=config["ENCODER"],
        preset=config["ENCODER_PRESET"],
        rate=config["ENCODER_RATE"],
    )
    return render.Settings(
        ffmpeg=config["FFMPEG"] or render.default_ffmpeg(),
        encoding=encoding,
        max_pixels=config["MAX_PIXELS"],
        max_duration=config["MAX_DURATION"],
        memory=config["RENDER_MEMORY"],
        sandbox=encoding.encoder.startswith("lib"),
    )
