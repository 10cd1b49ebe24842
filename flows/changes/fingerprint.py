"""What a shot's frames and segment were made from, kept in its manifest, so that a later plan can
say what has changed since. Plain data; fields that this version does not know are ignored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from cluster.keys import canonical, make_key
from flows.plan.plan import ShotPlan
from flows.plan.shot_plan import RunPlan, planes_key
from tasks.encode.segment import encoder_settings_key
from tasks.worker.item import SegmentItem

SHORT = 12
"""Hex digits of a mark; two equal ones would hide a reason, no more."""
LONGEST = 60
"""Characters of a parameter's JSON; a longer one is kept as its mark."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageMark:
    """A stage as it was: `keyed` are the parameters that its keys name, `assets` the digests of the
    files it read, by their paths in the recipe."""

    stage: str
    version: int
    params: Mapping[str, Any]
    keyed: tuple[str, ...]
    model: str
    engine: str
    assets: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fingerprint:
    """`frames` marks each source frame's own content, empty where only the whole source is known
    by its `digest`; `content` marks all of it with the shot's range, `times` when each is shown,
    `settings` all of the encoder's settings, `planes` those that the stored frames follow, empty
    where frames are stored as codes. `first`, `end` are frames of the source."""

    source: int
    digest: str
    first: int
    end: int
    content: str
    decoder: str
    frames: tuple[str, ...] = ()
    times: str
    rate: str
    drawings: str
    size: tuple[int, int]
    chunk: int
    device: str
    runs: tuple[tuple[StageMark, ...], ...]
    encoder: Mapping[str, Any] = field(default_factory=dict)
    settings: str = ""
    planes: str = ""

    def to_json(self) -> dict[str, Any]:
        """Plain data for a manifest."""
        return asdict(self)


def fingerprint(shot: ShotPlan) -> Fingerprint:
    """What a shot is made from as it is planned now."""
    planner = shot.runs[0].planner
    entry = planner.entry
    track = entry.track
    indices = range(len(track))
    material = entry.material(indices)
    described = material if isinstance(material, dict) else {}
    start = track.times[0] if track.times else 0
    return Fingerprint(
        source=entry.shot.source,
        digest=entry.source.digest,
        first=entry.shot.start,
        end=entry.shot.end,
        content=_mark(material),
        decoder=str(described.get("build", "")),
        frames=_files(described.get("frames")),
        times=_mark([time - start for time in track.times]),
        rate=str(track.rate or "varying"),
        drawings=_mark(track.drawing),
        size=(track.picture.width, track.picture.height),
        chunk=max((len(item.out) for item in shot.runs[-1].items), default=0),
        device=planner.device,
        runs=tuple(_stages(run) for run in shot.runs),
        encoder=_encoder(shot.segment) if shot.segment else {},
        settings=_settings(shot.segment) if shot.segment else "",
        planes=_planes(shot.runs[-1]),
    )


def read_fingerprint(document: object) -> Fingerprint | None:
    """What `to_json` gave, also that of another version; None for what is none."""
    if not isinstance(document, dict):
        return None
    try:
        runs = tuple(tuple(_known(StageMark, stage) for stage in run) for run in document["runs"])
        read: Fingerprint = _known(Fingerprint, {**document, "runs": runs})
    except (KeyError, TypeError):
        return None
    return read


def _known(kind: Any, document: Mapping[str, Any]) -> Any:
    """An object of a kind from the fields that it has; others are passed over."""
    values = {name: document[name] for name in kind.__slots__ if name in document}
    return kind(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})


def _stages(run: RunPlan) -> tuple[StageMark, ...]:
    marks = []
    for call, stage in run.planner.group:
        card = stage.card()
        params = stage.params.model_dump(mode="json")
        keyed = stage.key_params()
        marks.append(
            StageMark(
                stage=stage.name,
                version=stage.version,
                params={name: _short(value) for name, value in params.items()},
                keyed=tuple(sorted(keyed)) if isinstance(keyed, Mapping) else (),
                model=card.model,
                engine=card.engine,
                assets=dict(call.assets),
            )
        )
    return tuple(marks)


def _files(frames: object) -> tuple[str, ...]:
    """A mark of each frame's own file, none for a film."""
    files = frames.get("files", ()) if isinstance(frames, dict) else ()
    return tuple(str(digest)[:SHORT] for digest in files)


def _encoder(segment: SegmentItem) -> dict[str, Any]:
    picture = segment.picture
    size = f"{picture.width}x{picture.height}"
    return {**asdict(segment.spec), "pix_fmt": picture.pix_fmt, "size": size}


def _settings(segment: SegmentItem) -> str:
    spec, picture = segment.spec, segment.picture
    return _mark([encoder_settings_key(spec, picture, rate=segment.rate), picture, segment.rate])


def _planes(run: RunPlan) -> str:
    """A mark of what the planes of a run's frames depend on, empty where it stores codes."""
    delivered = run.items[0].delivered if run.items else None
    return _mark(planes_key(delivered)) if delivered else ""


def _short(value: Any) -> Any:
    return value if len(canonical(value)) <= LONGEST else f"#{_mark(value)}"


def _mark(value: object) -> str:
    return make_key(value)[:SHORT]
