"""An editor's timeline in (conform, read, edl, media, slug) and out again (write, shot_files)."""

from flows.timeline.conform import Conformed, conform
from flows.timeline.slug import slug_after

__all__ = ["Conformed", "conform", "slug_after"]
