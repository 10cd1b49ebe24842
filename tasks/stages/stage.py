"""The contract of a stage: one verb on the frames of one shot.

A stage has a pure side (what a plan needs; it must import neither torch nor ray) and a working
side (`setup`, `process`, `close`), which runs in a worker. It sees one shot only: no index below 0
or beyond the track exists for it, so cuts are walls by construction.

What a stage promises, and the contract suite checks (tests/contract/test_stages.py):
- `process` depends on the window's frames, the parameters and the model alone: the same output
  for any chunk size, worker or tile size, bit for bit on one device type and engine;
- it never writes to the frames it is given (they may be shared, read-only memory);
- it returns uint16 frame codes (tasks/frames/codes.py), one per index of the span asked for.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

from pydantic import BaseModel, ConfigDict

from tasks.frames.codes import Frames
from tasks.frames.track import Span, Track
from tasks.models.device import Device
from tasks.models.shelf import ModelCard


class Params(BaseModel):
    """Base of every stage's parameters: unknown names are errors, values are frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """What a stage, with these parameters, says of itself; callers never test its name.

    `model` is the digest of its weights ("" for none) and `engine` names what computes the pixels
    where that changes them ("torch-fp32", "openvino-fp32"); both go into keys. `gpu_share` is the
    part of a GPU it wants where the cluster has any. `keep` says that its frames are worth
    storing; `one_at_a_time` that each output frame needs one input frame, so that frames need not
    stand in memory together; `per_frame`, more than that, that output i depends on input i alone
    and keeps the track's times, so that identical neighbours are computed once. `needs_drawings`
    asks for the track's `drawing`.
    `same_drawings` promises that where a drawing of the input begins, the output of that moment is
    this drawing in its own colours, at any size: verification then holds it against the source.
    `memory_bytes` is the working memory for one frame of one megapixel, in and out included.
    """

    num_cpus: float = 1.0
    gpu_share: float = 0.0
    memory_bytes: int = 256 << 20
    model: str = ""
    engine: str = "numpy"
    keep: bool = False
    per_frame: bool = False
    one_at_a_time: bool = False
    needs_drawings: bool = False
    same_drawings: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """The input frames that `needs` asked for, in that order.

    `frames_nhwc[j]` is frame `indices[j]` of `track`. Read-only.
    """

    track: Track
    indices: tuple[int, ...]
    frames_nhwc: Frames

    def frame(self, index: int) -> Frames:
        """Frame `index` of the track, (H, W, 3); KeyError if `needs` did not ask for it."""
        try:
            place = self.indices.index(index)
        except ValueError:
            raise KeyError(index) from None
        frame: Frames = self.frames_nhwc[place]
        return frame


@dataclass(frozen=True, slots=True, kw_only=True)
class ShotContext:
    """What an episode tells a stage of one shot: its id, all shots' ids, the reference art (paths)
    of the characters in it, and how to read a file of the episode (InputError if it cannot be)."""

    shot: str
    shots: tuple[str, ...]
    cast: Mapping[str, tuple[str, ...]]
    read: Callable[[str], bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """A file that a stage leaves for people beside the frames of a shot.

    A `name` ending in .yaml is a list; the lists of all shots are joined in one document.
    """

    name: str
    data: bytes


P = TypeVar("P", bound=Params)


class Stage(ABC, Generic[P]):
    """One verb on frames. Subclasses set the class variables and override what they change."""

    name: ClassVar[str]
    version: ClassVar[int]
    """Raised whenever the pixels for the same input and parameters change."""
    Params: ClassVar[type[Params]]

    def __init__(self, params: P) -> None:
        self.params = params

    # -- pure: used by the plan ------------------------------------------------------------

    @classmethod
    def params_for_shot(cls, params: Mapping[str, Any], context: ShotContext) -> dict[str, Any]:
        """The parameters for one shot, with what the episode says of it. Default: the same."""
        return dict(params)

    def key_params(self) -> object:
        """The parameters as they go into every key of the shot. Default: all of them."""
        return self.params.model_dump(mode="json")

    @abstractmethod
    def card(self) -> Card:
        """What it needs and what identifies its pixels. Cheap: no torch, no model loaded."""

    def track_after(self, track: Track) -> Track:
        """The track it makes of `track`: counts, times, size. Default: unchanged."""
        return track

    def needs(self, out: Span, track: Track) -> tuple[int, ...]:
        """Ascending indices of `track` (the input) needed for output `out`. Default: the same."""
        return out.indices()

    def key_context(self, out: Span, track: Track) -> object:
        """What else the pixels of `out` depend on (times, drawings), for the key. Default: none."""
        return None

    def assets(self) -> tuple[str, ...]:
        """Paths, as written in the recipe, of the files it reads besides frames."""
        return ()

    def looked_up(self, digests: Mapping[str, str]) -> dict[str, Any]:
        """Parameters that only the planning machine can know, by name, for workers' copies of the
        stage; they are no part of the key. `digests` are those of its assets, so that a file which
        is not what the stage was told can be refused before anything is rendered."""
        return {}

    def fast_networks(self) -> tuple[ModelCard, ...]:
        """Its networks, where these parameters leave the engine that runs them to the plan: the
        plan names it in the parameter `fast`. Default: none."""
        return ()

    # -- working: used in a worker ----------------------------------------------------------

    def setup(self, device: Device, read_asset: Callable[[str], bytes]) -> None:
        """Load the model, once per worker. `read_asset(path)` gives the bytes of an asset."""

    @abstractmethod
    def process(self, window: Window, out: Span) -> Frames:
        """Output frames `out`, (len(out), H', W', 3) uint16 codes. Errors: StageError."""

    def take_notes(self) -> tuple[Note, ...]:
        """What the last `process` leaves for people, once; the same for any chunk size. Default:
        nothing."""
        return ()

    def close(self) -> None:
        """Free what `setup` took; safe to call twice or half-open."""
