"""The next group of missing variations of a claimed file: probe, render, picture, publish."""

import logging
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from jobserver import metrics, render
from jobserver.db import Connection
from jobserver.files.keys import source_key
from jobserver.files.store import Store
from jobserver.jobs import queries
from jobserver.jobs.model import Claim, SourceFacts
from jobserver.jobs.seeds import seed_of
from jobserver.worker import measures
from jobserver.worker.facts import credentials_of
from jobserver.worker.heartbeat import HeldClaim
from jobserver.worker.publish import Rendered, publish, publish_source, sha256_of, stage

log = logging.getLogger(__name__)


class GroupRenderer:
    """Renders one group after the other; remembers the file it probed last."""

    def __init__(
        self, db: Connection, store: Store, settings: render.Settings, made_with: str
    ) -> None:
        """made_with: what the rows of outputs say about their making."""
        self._db, self._store, self._settings = db, store, settings
        self._made_with = made_with
        self._probed: tuple[str, render.Media] | None = None

    def render_next(self, held: HeldClaim) -> bool:
        """Render the next group of missing variations; publish them in one step.

        Returns False when the file was lost meanwhile.
        Raises render.Cancelled, MediaError or EngineError, OSError or DatabaseError.
        """
        claim = held.claim
        job = queries.find_job(self._db, claim.job_id)
        if job is None:  # deleted since it was claimed: the claim is lost
            return False
        media = self._probe(held)
        published = queries.published_numbers(self._db, claim.id)
        missing = [n for n in range(1, job.variations_per_video + 1) if n not in published]
        numbers = missing[: render.group_size(media, self._settings)]

        def on_progress(share: float) -> None:
            held.progress = (len(published) + share * len(numbers)) / job.variations_per_video

        with self._scratch_dir(claim) as folder:
            wanted = [
                (render.parameters(seed_of(job, claim), n, job.recipe), folder / f"{n}.mp4")
                for n in numbers
            ]
            known = measures.picture_of(self._db, claim.id)
            rendered, picture = self._render(held, media, wanted, on_progress, picture=known)
            staged = [stage(self._store, claim, each, self._made_with) for each in rendered]
            hashes = [each.output.measured.hashes for each in rendered]
            compared = measures.compare(self._db, claim.id, staged, hashes=hashes, source=picture)
            published_now = publish(
                self._db,
                self._store,
                claim,
                compared.staged,
                progress=held.progress,
                last=len(numbers) == len(missing),
                now=self._db.clock,
                also=lambda: measures.keep(self._db, claim, compared, None if known else picture),
            )
        if published_now:
            rest = len(missing) - len(numbers)
            words = _in_words(numbers)
            log.info("%s: published %s, %d to go", claim.label, words, rest, extra=claim.fields)
        return published_now

    def _render(
        self,
        held: HeldClaim,
        media: render.Media,
        wanted: Sequence[tuple[render.Parameters, Path]],
        on_progress: Callable[[float], None],
        *,
        picture: render.Fingerprint | None,
    ) -> tuple[list[Rendered], render.Fingerprint | None]:
        """Render one group, with a picture of each. picture: what is known of the source's.

        Returned with that, whether it was known or not.
        """
        start = time.monotonic()
        seen = [picture] if picture else []
        with self._store.local_path(source_key(held.claim.stored_name), held.cancel) as source:
            outputs = list(
                render.render(
                    source,
                    media,
                    wanted,
                    self._settings,
                    on_progress=on_progress,
                    cancel=held.cancel,
                    thumbnails=True,
                    source=picture,
                    on_source=seen.append,
                )
            )
        rendered = _counted(held.claim, outputs, time.monotonic() - start)
        return rendered, seen[0] if seen else None

    def _probe(self, held: HeldClaim) -> render.Media:
        """Probe the file once; a claim of the same file right after knows it already."""
        claim = held.claim
        if self._probed is None or self._probed[0] != claim.id:
            with self._store.local_path(source_key(claim.stored_name), held.cancel) as path:
                media = render.probe(path, self._settings, held.cancel)
                if claim.sha256 is None:
                    self._record_source(held, path, media)
            self._probed = (claim.id, media)
        return self._probed[1]

    def _record_source(self, held: HeldClaim, path: Path, media: render.Media) -> None:
        """Record what the source is and show a picture of it; it renders without one too."""
        claim = held.claim
        width, height = media.displayed
        with self._scratch_dir(claim) as folder:
            picture = _thumbnail(
                *(path, folder / f"{claim.id}.webp", self._settings), held=held, media=media
            )
            facts = SourceFacts(
                duration=media.duration,
                width=width,
                height=height,
                sha256=sha256_of(path),
                thumbnail=None if picture is None else picture.name,
                credentials=credentials_of(path),
            )
            publish_source(self._db, self._store, claim, facts=facts, picture=picture)

    def _scratch_dir(self, claim: Claim) -> AbstractContextManager[Path]:
        return self._store.scratch_dir(
            job_id=claim.job_id, file_id=claim.id, claim_token=claim.claim_token
        )


def _counted(claim: Claim, outputs: Sequence[render.Output], seconds: float) -> list[Rendered]:
    """Share the seconds that a group took among its outputs; log and count them."""
    frames = sum(each.media.packets.shown for each in outputs)
    log.info(
        "%s: rendered %d outputs, %d frames in %.1f s",
        *(claim.label, len(outputs), frames, seconds),
        extra={
            **claim.fields,
            "outputs": len(outputs),
            "frames": frames,
            "seconds": round(seconds, 3),
        },
    )
    metrics.rendered(frames, seconds)
    return [Rendered(each, seconds / len(outputs)) for each in outputs]


def _in_words(numbers: Sequence[int]) -> str:
    """Return `variation 3`, or `variations 1, 2, 3`."""
    return f"variation{'s' if len(numbers) > 1 else ''} {', '.join(map(str, numbers))}"


def _thumbnail(
    path: Path, out: Path, settings: render.Settings, *, held: HeldClaim, media: render.Media
) -> Path | None:
    """Write a picture of a source; return its path, or None when there is none."""
    try:
        render.thumbnail(path, out, settings, held.cancel, media=media)
    except render.MediaError as error:
        log.info("%s: no thumbnail: %s", held.claim.label, error)
        return None
    return out
