"""An editor's timeline, read.

`read` and `edl` open OTIO and EDL, `media` finds each clip's source, `timecode` its frames,
`conform` makes shots of clips, gaps, retimes and freezes, `slug` makes black. In: a file, the
episode's sources. Out: a `Conformed` cut, or one line with the clip and its place.
"""

from flows.timeline.conform import Conformed, conform
from flows.timeline.slug import slug_after

__all__ = ["Conformed", "conform", "slug_after"]
