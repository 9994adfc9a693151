"""Make the outputs of a brief from folders of files, as a server makes them of an upload.

Every shot is made once, then every output is joined of its shots. All of it is planned and probed
before anything is encoded, so a wrong brief or a broken file is reported at once.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TypeAlias

from jobserver.brief.assemble import shots_of, timelines
from jobserver.brief.model import Brief, Part, Role, Sources
from jobserver.brief.parse import parse, used
from jobserver.brief.plan import plan
from jobserver.brief.seeds import file_seed
from jobserver.brief.timeline import (
    LookParameters,
    PartFacts,
    Segment,
    Shot,
    Source,
    Timeline,
    Unmakeable,
)
from jobserver.render.errors import MediaError
from jobserver.render.facts import clip_facts, still_facts
from jobserver.render.joins import Joined, JoinPart, Mixing, join
from jobserver.render.media import Media
from jobserver.render.probe import probe
from jobserver.render.recipe import parameters
from jobserver.render.settings import Settings
from jobserver.render.shots import render_shots
from jobserver.render.sound import Music, SoundFile, probe_music, render_music, render_sounds
from jobserver.render.stills import Still, probe_still
from jobserver.render.text import Fonts, cannot_draw

MAX_OUTPUTS = 10_000
STILLS = {".png", ".jpg", ".jpeg", ".webp"}
FOLDERS: Mapping[str, Role] = {  # what a folder's option is called -> the role of its files
    "videos": "video",
    "hooks": "hook",
    "endings": "ending",
    "overlays": "overlay",
    "music": "music",
}
Footage: TypeAlias = Media | Still | Music


class Unusable(Exception):
    """A file cannot be used; str() names it and says why."""


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """What shall be made. brief: JSON. files: of each role, in their sequence.

    variations: looks of `recipe`, None: the picture is left as it is. title: first part of names.
    """

    brief: str
    files: Mapping[Role, Sequence[Path]]
    seed: int
    recipe: str
    variations: int | None = None
    title: str | None = None

    def path(self, source: Source) -> Path:
        """Return the file at a place within its role."""
        role, place = source
        return self.files[role][place]


@dataclass(frozen=True, kw_only=True)
class Production:
    """What is made of the wishes: every output and every shot, and what the files are."""

    wishes: Wishes
    brief: Brief
    footage: Mapping[Source, Footage]
    outputs: Sequence[Timeline | Unmakeable]

    @property
    def timelines(self) -> list[Timeline]:
        """The outputs that can be made."""
        return [each for each in self.outputs if isinstance(each, Timeline)]

    @property
    def failed(self) -> list[Unmakeable]:
        """The outputs that cannot be made."""
        return [each for each in self.outputs if isinstance(each, Unmakeable)]


def prepare(wishes: Wishes, settings: Settings, fonts: Fonts) -> Production:
    """Plan all outputs and probe the files that they need; encode nothing.

    Raises BriefError, Unusable, EngineError, and OSError.
    """

    sources = _sources(wishes)
    brief = parse(
        wishes.brief,
        sources,
        variations=wishes.variations,
        recipe=wishes.recipe,
        unused_allowed=True,
        cannot_draw=partial(cannot_draw, fonts=fonts),
    )

    def look_of(video: int, look: int) -> LookParameters:
        return parameters(file_seed(wishes.seed, video), look, brief.recipe).values

    wishes = _needed(wishes, used(brief, sources))
    sources = _sources(wishes)
    planned = plan(brief, sources, MAX_OUTPUTS, title=wishes.title)
    footage = {
        (role, place): _probed(path, role, settings)
        for role, paths in wishes.files.items()
        for place, path in enumerate(paths)
    }
    facts = {source: _facts(found) for source, found in footage.items()}
    found = timelines(brief, planned.outputs, sources, facts, look_of=look_of)
    return Production(wishes=wishes, brief=brief, footage=footage, outputs=found)


def _sources(wishes: Wishes) -> Sources:
    return Sources(
        **{
            name: tuple(Part(path.name) for path in wishes.files[role])
            for name, role in FOLDERS.items()
        }
    )


def _needed(wishes: Wishes, sources: Sources) -> Wishes:
    """Return the wishes with the files of these sources alone."""
    files = {
        role: [path for path in paths if Part(path.name) in sources.of_role(role)]
        for role, paths in wishes.files.items()
    }
    return replace(wishes, files=files)


def _probed(path: Path, role: Role, settings: Settings) -> Footage:
    """Return what a file is. Raises Unusable."""
    try:
        if role == "music":
            return probe_music(path, settings)
        if role == "overlay" or (role == "ending" and path.suffix.lower() in STILLS):
            return probe_still(path, settings)
        return probe(path, settings)
    except MediaError as error:
        raise Unusable(f"{path}: {error}") from error


def _facts(footage: Footage) -> PartFacts:
    if isinstance(footage, Media):
        return clip_facts(footage)
    if isinstance(footage, Still):
        return still_facts(footage)
    return PartFacts(duration=footage.duration, has_sound=True)


def make(
    production: Production,
    out: Path,
    settings: Settings,
    fonts: Fonts,
    *,
    scratch: Path,
    on_progress: Callable[[float], None] = lambda share: None,
) -> Iterator[tuple[Timeline, Joined]]:
    """Make all shots in `scratch`, then all outputs in `out`; yield each output when it is whole.

    An output has its name only once it is whole. on_progress: called with the share of the shots
    and outputs that are done, 0..1. Raises Unusable, EngineError, and OSError.
    """
    maker = Maker(production, settings, fonts, scratch)
    total = len(maker.shots) + len(production.timelines)
    for done, _ in enumerate(maker.make_shots(), start=1):
        on_progress(done / total)
    for done, timeline in enumerate(production.timelines, start=len(maker.shots) + 1):
        joined = maker.join(timeline, out / f"{timeline.output.name}.part")
        path = out / f"{timeline.output.name}.mp4"
        joined.path.replace(path)
        on_progress(done / total)
        yield timeline, replace(joined, path=path)


@dataclass
class Maker:
    """Makes the shots and outputs of one production. sounds: by the key of their shot."""

    production: Production
    settings: Settings
    fonts: Fonts
    folder: Path
    sounds: dict[str, SoundFile] = field(default_factory=dict)
    music: dict[int, SoundFile] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.shots = shots_of(self.production.timelines)

    def make_shots(self) -> Iterator[None]:
        """Make every shot, and the beginning of all music that is used; yield once a shot."""
        for source in self.production.footage:
            mine = [shot for shot in self.shots.values() if (shot.role, shot.source) == source]
            try:
                yield from self._of_source(source, mine)
            except MediaError as error:
                raise Unusable(f"{self.production.wishes.path(source)}: {error}") from error

    def _of_source(self, source: Source, shots: Sequence[Shot]) -> Iterator[None]:
        footage, path = self.production.footage[source], self.production.wishes.path(source)
        if isinstance(footage, Music):
            self._play(footage, path, source[1])
            return
        pictures = [(shot.picture, self._path(shot)) for shot in shots if shot.picture]
        files = render_shots(
            path,
            footage,
            pictures,
            self.settings,
            overlays={each.name: each for each in self.production.wishes.files["overlay"]},
            fonts=self.fonts,
        )
        for _ in files:
            yield
        wanted = [shot for shot in shots if shot.sound]
        if isinstance(footage, Media) and wanted:
            shapes = [(shot.sound, self._path(shot)) for shot in wanted if shot.sound]
            for shot, sound in zip(
                wanted, render_sounds(path, footage, shapes, self.settings), strict=True
            ):
                self.sounds[shot.key] = sound
                yield

    def _play(self, music: Music, path: Path, place: int) -> None:
        """Write as much of a music file as the longest output needs, if any does."""
        seconds = [each.seconds for each in self.production.timelines if each.music == place]
        if seconds:
            out = self.folder / f"music{place}.flac"
            longest = max(seconds)
            self.music[place] = render_music(path, music, out, self.settings, seconds=longest)

    def _path(self, shot: Shot) -> Path:
        return self.folder / f"{shot.key}{'.mp4' if shot.picture else '.flac'}"

    def join(self, timeline: Timeline, out: Path) -> Joined:
        """Join one output."""
        mixing = Mixing(
            loudness=timeline.loudness,
            music=None if timeline.music is None else self.music[timeline.music],
            music_volume=timeline.music_volume,
        )
        return join([self._part(each) for each in timeline.segments], out, self.settings, mixing)

    def _part(self, segment: Segment) -> JoinPart:
        return JoinPart(
            picture=self._path(segment.picture),
            sound=self.sounds[segment.sound.key] if segment.sound else None,
            seconds=segment.seconds if segment.cut else None,
        )
