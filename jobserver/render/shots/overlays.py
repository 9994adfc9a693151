"""The pictures that are laid over shots: each headline and logo is made once a size of frame."""

import threading
from collections.abc import Mapping
from pathlib import Path

from jobserver.brief.model import Headline, Logo
from jobserver.brief.timeline import Appearance
from jobserver.render.framing import Box
from jobserver.render.settings import Settings
from jobserver.render.shots.filters import half_frame
from jobserver.render.stills import write_logo
from jobserver.render.text import Fonts, Overlay, draw_headline, safe_zone

_Frame = tuple[int, int]
_Key = tuple[Headline | Logo, _Frame, Box | None]  # the box: of the logo beside a headline


class Overlays:
    """Makes the overlays of a job's shots in a folder that the caller removes."""

    def __init__(
        self,
        folder: Path,
        files: Mapping[str, Path],
        fonts: Fonts,
        settings: Settings,
        *,
        cancel: threading.Event | None,
    ) -> None:
        """Take the uploaded files by name. cancel: stops the decoding of a logo."""
        self.folder, self.files, self.fonts = folder, files, fonts
        self.settings, self.cancel = settings, cancel
        self.made: dict[_Key, Overlay] = {}

    def of(self, appearance: Appearance) -> list[tuple[Overlay, str]]:
        """Return the overlays of a shot and the option that says when each is shown.

        Raises what `draw_headline` and `write_logo` raise.
        """
        frame = (appearance.width, appearance.height)
        found: list[tuple[Overlay, str]] = []
        beside = None
        if appearance.logo:
            logo = self._logo(appearance.logo, frame)
            beside = logo.box
            found.append((logo, ""))
        if appearance.headline:
            shown = _shown(appearance.headline, half_frame(appearance))
            found.append((self._headline(appearance.headline, frame, beside), shown))
        return found

    def _headline(self, headline: Headline, frame: _Frame, logo: Box | None) -> Overlay:
        key = (headline, frame, logo)
        if key not in self.made:
            out = self._next_path()
            self.made[key] = draw_headline(headline, frame, self.fonts, out, logo=logo)
        return self.made[key]

    def _logo(self, logo: Logo, frame: _Frame) -> Overlay:
        """Make a logo, in its corner of the safe zone and no larger than that."""
        key = (logo, frame, None)
        if key not in self.made:
            zone = safe_zone(*frame)
            width, height = write_logo(
                self.files[logo.overlay],
                out := self._next_path(),
                width=round(logo.width * frame[0]),
                within=(zone.width, zone.height),
                opacity=logo.opacity,
                settings=self.settings,
                cancel=self.cancel,
            )
            vertical, across = logo.corner.split("-")
            left = zone.left if across == "left" else zone.left + zone.width - width
            top = zone.top if vertical == "top" else zone.top + zone.height - height
            box = Box(left // 2 * 2, top // 2 * 2, width, height)
            self.made[key] = Overlay(out, box)
        return self.made[key]

    def _next_path(self) -> Path:
        return self.folder / f"overlay{len(self.made)}.png"


def _shown(headline: Headline, half: float) -> str:
    """Return the option of `overlay` that shows a headline for some time only."""
    conditions = []
    if headline.start is not None:
        conditions.append(f"gte(t,{headline.start - half:.6f})")
    if headline.end is not None:
        conditions.append(f"lt(t,{headline.end - half:.6f})")
    return f":enable='{'*'.join(conditions)}'" if conditions else ""
