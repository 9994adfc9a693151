"""What a probe has found, kept as the JSON of `job_file.facts` for the later claims of a job.

Probing decodes all of a file's sound, so it is done once a file, not once a claim.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter

from jobserver.brief.timeline import PartFacts
from jobserver.render import Media, Music, Still, read_credentials


@dataclass(frozen=True, kw_only=True)
class Probe:
    """What a file is: media of a clip, still of a picture, music of music.

    Between versions of the server their fields may only be added, with defaults.
    """

    part: PartFacts
    media: Media | None = None
    still: Still | None = None
    music: Music | None = None

    @property
    def footage(self) -> Media | Still:
        """What pictures can be made of."""
        found = self.media or self.still
        assert found is not None  # noqa: S101  nobody plans pictures of music
        return found


_ADAPTER = TypeAdapter(Probe)


def dump(probe: Probe) -> str:
    """Return the JSON of a probe."""
    return json.dumps(_ADAPTER.dump_python(probe, mode="python"), default=str)


def load(text: str) -> Probe:
    """Return the probe that dump() was given. Raises ValueError for that of another version."""
    return _ADAPTER.validate_python(json.loads(text))


def credentials_of(path: Path) -> str | None:
    """Return the JSON of what a source's Content Credentials claim, for `job_file.credentials`.

    None where it carries none that can be read. Raises OSError.
    """
    found = read_credentials(path)
    if found is None:
        return None
    return json.dumps({"generator": found.generator, "aiMade": found.made_by_ai})
