"""What a person or a program asks of `render` and `plan`: an episode and where to run it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cluster.errors import UsageError, shortly
from cluster.settings import MAX_WORKERS, settings
from cluster.store.base import PART_BYTES
from flows.spec.allowed_paths import check_allowed, check_typed
from flows.spec.documents import (
    Container,
    Encoder,
    EpisodeSpec,
    StageSpec,
    expand_home,
    nearest_name,
)
from flows.spec.shots import parse_frames, parse_shots
from flows.spec.yaml_file import read_episode, read_recipe
from tasks.stages.yaml_text import read_yaml

CONTAINERS: dict[str, Container] = {".mkv": "mkv", ".mp4": "mp4", ".mov": "mov", ".webm": "webm"}


HOLDS: dict[Container, tuple[Encoder, ...]] = {
    "mkv": get_args(Encoder),
    "mp4": ("libx264", "libx265", "libsvtav1"),
    "mov": ("libx264", "libx265", "prores"),
    "webm": ("libsvtav1",),
}
"""Which encoders' films a container holds by its own standard."""


class RenderRequest(BaseModel):
    """An episode with every option settled; plain data, so that a Prefect deployment takes it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    episode: EpisodeSpec
    output: str
    store: str
    ray: str = ""
    workers: int = Field(default=0, ge=0, le=MAX_WORKERS)
    chunk: int = Field(default=24, ge=1, le=240)
    tile: int = Field(default=0, ge=0)
    shots: tuple[str, ...] = ()
    frames: str = ""
    preview_every: int = Field(default=0, ge=0)
    """Show every Nth frame of each shot and wait for a person; 0: no preview."""
    command: str = ""
    """The command as typed, to name in messages that say how to try again."""

    @property
    def container(self) -> Container:
        """The film's container, from the delivery or the output's suffix."""
        asked = self.episode.delivery.container
        return asked or CONTAINERS[Path(self.output).suffix.lower()]


def read_request(data: Mapping[str, Any]) -> RenderRequest:
    """A request that somebody else sent as plain data. UsageError for what is none, and where a
    path in it leads out of DOUGA_ROOTS, where set: a deployment takes no request without them."""
    if not settings().roots and _is_deployed():
        raise UsageError(
            "whoever may start this deployment could name any file of this machine",
            where="request",
            remedy="set DOUGA_ROOTS, where it is served, to the folders that requests may use",
        )
    try:
        request = RenderRequest.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in ("request", *first["loc"]))
        raise UsageError(str(first["msg"]), where=place) from error
    for path in (request.output, request.store, *(path for _, path in request.episode.paths())):
        check_allowed(request.episode.resolve(path))
    return request


def _is_deployed() -> bool:
    """Whether this is a run of a Prefect deployment, whose parameters anybody may have sent who
    reaches Prefect."""
    from prefect.context import FlowRunContext

    running = FlowRunContext.get()
    return bool(running and running.flow_run and running.flow_run.deployment_id)


def make_request(
    source: str,
    *,
    output: str = "",
    stages: list[str] | None = None,
    recipe: str = "",
    store: str = "",
    ray: str = "",
    workers: int | None = None,
    chunk: int | None = None,
    encoder: str = "",
    quality: int | None = None,
    fps: str = "",
    shots: str = "",
    frames: str = "",
    preview_every: int | None = None,
    command: str = "",
) -> RenderRequest:
    """A request from what was typed; what is not given comes from the episode, then settings."""
    episode = _episode(source, fps=fps)
    changes: dict[str, Any] = {}
    if recipe:
        changes["recipe"] = read_recipe(Path(recipe))
    if stages:
        changes["recipe"] = tuple(parse_stage(text) for text in stages)
    delivery = {
        name: value
        for name, value in (("encoder", encoder or None), ("quality", quality))
        if value is not None
    }
    if encoder and encoder not in get_args(Encoder):
        raise UsageError(
            f"unknown encoder {shortly(encoder)}",
            where="--encoder",
            remedy=nearest_name(encoder, get_args(Encoder)),
        )
    if delivery:
        changes["delivery"] = episode.delivery.model_copy(update=delivery)
    episode = episode.model_copy(update=changes)
    parse_frames(frames)
    _check_preview(preview_every, frames)
    chosen = settings()
    request = RenderRequest(
        episode=episode,
        output=_output(episode, output),
        store=_store(store, episode),
        ray=ray or chosen.ray,
        workers=chosen.workers if workers is None else workers,
        chunk=chosen.chunk if chunk is None else chunk,
        tile=chosen.tile,
        shots=parse_shots(shots),
        frames=frames,
        preview_every=preview_every or 0,
        command=command,
    )
    holds = HOLDS[request.container]
    if episode.delivery.encoder not in holds:
        raise UsageError(
            f"{request.container} does not hold what {episode.delivery.encoder} makes",
            where=Path(request.output).name,
            remedy=f"use {' or '.join(holds)}, or another container",
        )
    return request


def _check_preview(every: int | None, frames: str) -> None:
    if every is not None and every < 1:
        raise UsageError(
            f"expected a number of frames from 1, got {every}",
            where="--preview-every",
            remedy="8 shows every eighth frame of each shot",
        )
    if every and frames:
        raise UsageError(
            "--preview-every and --frames both say which frames to make",
            remedy="leave one of them out; --shots goes with either",
        )


def parse_stage(text: str) -> StageSpec:
    """`upscale:scale=2,precision=bf16` as a step; values are read as YAML scalars."""
    name, _, rest = text.partition(":")
    params: dict[str, Any] = {}
    for part in filter(None, rest.split(",")):
        key, equals, value = part.partition("=")
        if not equals or not key:
            raise UsageError(
                f"expected name=value, got {part!r}",
                where=f"--stage {text}",
                remedy="for example --stage upscale:scale=2",
            )
        try:
            params[key.strip()], _ = read_yaml(value, where=key)
        except UsageError as error:
            raise UsageError(
                f"cannot read the value {shortly(value)} ({error.what})",
                where=f"--stage {text}",
                remedy="for example --stage upscale:scale=2",
            ) from error
    keep = params.pop("keep", None)
    try:
        return StageSpec(stage=name.strip(), params=params, keep=keep)
    except ValidationError as error:
        raise UsageError(
            f"keep: expected true or false, got {shortly(keep)}", where=f"--stage {text}"
        ) from error


def _episode(source: str, *, fps: str) -> EpisodeSpec:
    path = Path(check_typed(source))
    if path.suffix.lower() in (".yaml", ".yml"):
        if fps:
            raise UsageError("--fps goes with a frame folder; write fps into the episode's source")
        return read_episode(path)
    name = source.rstrip("/").rpartition("/")[2] or "episode"
    stem = name if path.is_dir() else (name.rpartition(".")[0] or name)
    stem = "".join(c if c.isprintable() and c != "\\" else "_" for c in stem)
    stem = stem.lstrip(".") or "episode"
    try:
        return EpisodeSpec.model_validate(
            {
                "name": stem,
                "sources": [{"path": source, "fps": fps or None}],
                "folder": str(Path.cwd()),
            }
        )
    except ValidationError as error:
        first = error.errors()[0]
        if "fps" in first["loc"]:
            raise UsageError(
                f"expected a rate such as 24 or 24000/1001, got {shortly(fps)}", where="--fps"
            ) from error
        raise UsageError(
            str(first["msg"]).removeprefix("Value error, "),
            where=shortly(source),
            remedy="rename it, or give it a name: in an episode.yaml",
        ) from error


def _output(episode: EpisodeSpec, asked: str) -> str:
    """Where the film goes: as asked, as the episode says, or `<name>.douga.mkv` beside it."""
    if asked:
        path = Path(check_typed(str(expand_home(asked).absolute())))
    elif episode.delivery.output:
        path = Path(episode.resolve(episode.delivery.output))
    else:
        source = episode.sources[0].path
        folder = Path.cwd() if "://" in source else Path(episode.resolve(source)).parent
        path = folder / f"{episode.name}.douga.{episode.delivery.container or 'mkv'}"
    where = "-o" if asked else episode.where("delivery", "output")
    if path.suffix.lower() not in CONTAINERS:
        raise UsageError(
            f"unknown container {shortly(path.suffix or path.name)}",
            where=where,
            remedy=f"end the film's name in {', '.join(CONTAINERS)}",
        )
    if len(path.name.encode()) > PART_BYTES + len(".douga.webm"):
        raise UsageError(
            f"expected a name of {PART_BYTES} bytes at the most, got {len(path.name.encode())}",
            where=where,
            remedy="what is made beside the film has longer names",
        )
    asked_container = episode.delivery.container
    if asked_container and CONTAINERS[path.suffix.lower()] != asked_container:
        raise UsageError(
            f"the film's name ends in {path.suffix}, but delivery.container is {asked_container}",
            where=where,
        )
    return str(path)


def _store(typed: str, episode: EpisodeSpec) -> str:
    """The store's URL: as typed or set, or as the episode says."""
    if not typed and episode.store:
        url = episode.resolve(episode.store)
    else:
        url = check_typed(typed or settings().store_url)
    if "://" in url:
        return url
    return (Path(episode.folder) / expand_home(url)).absolute().as_uri()
