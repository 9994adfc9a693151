"""What a brief would make, before anything is uploaded."""

import json
from collections.abc import Sequence
from typing import Any, cast

from flask import Blueprint, current_app, jsonify
from flask.typing import ResponseReturnValue

from jobserver.brief.estimate import Work, expected, work_of
from jobserver.brief.model import ROLE_OF, Part, PlannedOutput, Sources
from jobserver.brief.parse import parse
from jobserver.brief.plan import plan
from jobserver.brief.schema import check
from jobserver.brief.timeline import Timeline, Unmakeable
from jobserver.jobs import queries, workers
from jobserver.uploads import UploadLimits
from jobserver.uploads.incoming import MAX_NAME_LENGTH
from jobserver.uploads.kinds import FIELDS, VIDEOS
from jobserver.web import params, shapes
from jobserver.web.auth import require_auth
from jobserver.web.body import json_object
from jobserver.web.context import current_settings, get_db
from jobserver.web.fonts import cannot_draw

MAX_BODY_SIZE = 256 * 1024  # bytes: a brief, and the longest names of all files
MAX_DURATION_S = 36_000

# Where this server has rendered nothing yet: bigbuckbunny, 5.3 s of 720p, as 1080x1920 at 25 fps
# with the default encoder on 2 cores took 0.34 to 0.45 s of CPU and 0.11 to 0.27 MB a megapixel and
# second; joining three shots to 15.8 s 0.8 s, one to 5.3 s 0.4 s.
ENCODING_S, SIZE = 0.4, 200_000  # a megapixel and second of picture
JOIN_S, JOIN_SHARE = 0.2, 0.04  # an output, and of its seconds

bp = Blueprint("briefs", __name__, url_prefix="/api/briefs")
bp.before_request(require_auth)


@bp.post("/plan")
def show_plan() -> ResponseReturnValue:
    """Answer 200 with what the upload of these files with this brief would make, or its 400.

    Body: the files by the fields of an upload, `{"videos": [{"name": "a.mp4", "duration": 9}]}`,
    and `brief`, `variations`, `recipe`, `title`. Durations (seconds) may be left out; where all
    are there, the answer has estimates, and each output its duration, or why it cannot be made.
    Raises BriefError or InvalidOption.
    """
    body = json_object(MAX_BODY_SIZE)
    check(body, request_schema(current_app.extensions["upload_limits"]))
    sources = Sources(**{field: _parts(body.get(field, [])) for field in ROLE_OF})
    brief = parse(
        body.get("brief") or {},
        sources,
        variations=params.looks(_text(body.get("variations"))),
        recipe=params.recipe(_text(body.get("recipe"))),
        cannot_draw=cannot_draw,
    )
    title = params.title(body.get("title"))
    planned = plan(brief, sources, current_settings().max_outputs, title)
    made = expected(brief, planned, sources)
    outputs = [_output_json(output) for output in planned.outputs]
    answer: shapes.Plan = {
        "variationsPerVideo": planned.variations_per_video,
        "totalVariations": planned.total,
        "shots": planned.shots,
        "outputs": outputs,
    }
    if made is not None:
        outputs = list(map(_with_duration, outputs, made))
        answer = {**answer, **_estimates(work_of(made), len(sources.videos)), "outputs": outputs}
    return jsonify(answer)


def request_schema(limits: UploadLimits) -> dict[str, Any]:
    """Return the JSON Schema of the body; of `brief` it says no more than that it may be there."""
    part = {
        "type": "object",
        "additionalProperties": False,
        "required": ["name"],
        "properties": {
            "name": {"type": "string", "minLength": 1, "maxLength": MAX_NAME_LENGTH},
            "duration": {"type": ["number", "null"], "minimum": 0, "maximum": MAX_DURATION_S},
        },
    }
    files = {
        name: {
            "type": "array",
            "items": part,
            "minItems": 1 if name == VIDEOS else 0,
            "maxItems": limits.most(field),
        }
        for name, field in FIELDS.items()
    }
    return {
        "type": "object",
        "additionalProperties": False,
        "required": [VIDEOS],
        "properties": {
            **files,
            "variations": {"title": "a number or a text", "type": ["number", "string", "null"]},
            "recipe": {"title": "a name or an object", "type": ["string", "object", "null"]},
            "title": {"title": "a text", "type": ["string", "null"]},
            "brief": {"type": ["object", "null"]},
        },
    }


def _parts(given: Sequence[dict[str, Any]]) -> tuple[Part, ...]:
    return tuple(Part(each["name"], each.get("duration")) for each in given)


def _text(value: float | str | dict[str, Any] | None) -> str | None:
    """Return a value as the field of a form would have it."""
    if isinstance(value, dict):
        return json.dumps(value)
    return None if value is None else str(value)


def _output_json(output: PlannedOutput) -> shapes.PlannedOutput:
    axes = cast(shapes.OutputAxes, output.axes._asdict())
    return {"video": output.axes.video, "name": output.name, "axes": axes}


def _with_duration(
    described: shapes.PlannedOutput, made: Timeline | Unmakeable
) -> shapes.PlannedOutput:
    if isinstance(made, Unmakeable):
        return {**described, "duration": None, "reason": made.reason}
    return {**described, "duration": round(made.seconds, 3), "reason": None}


def _estimates(work: Work, videos: int) -> shapes.Estimates:
    """Return the seconds that workers would take once they begin, and the bytes of all outputs.

    From what the latest outputs of this server took and had, a megapixel and second; before there
    are any, from the figures above. As many main clips are rendered at once as there are threads.
    """
    db = get_db()
    pace = queries.pace(db)
    threads = workers.workforce(db, db.clock()).threads or current_settings().workers
    encoding_s = work.encoded * (pace.seconds or ENCODING_S)
    joining_s = work.joins * JOIN_S + work.seconds * JOIN_SHARE
    return {
        "estimatedSeconds": round((encoding_s + joining_s) / min(threads, videos)),
        "estimatedBytes": round(work.shown * (pace.size or SIZE)),
    }
