"""Frame-accurate input from any source.

`index` demuxes a source once and knows every frame's time, `reader` gives any of them exactly,
`content` says what a key must know, `fetch` brings files from S3, `damage` and `recovery` say what
was concealed. In: a path. Out: a `SourceIndex`, and planes as the source codes them.
"""

from tasks.decode.content import decoder_build, source_key_material
from tasks.decode.derived import black_index, picked_index
from tasks.decode.index import index_source
from tasks.decode.planes import Plane, Planes
from tasks.decode.reader import DecodedFrame, FrameReader
from tasks.decode.source import Chapter, SeekPoint, SourceIndex, StreamInfo

__all__ = [
    "Chapter",
    "DecodedFrame",
    "FrameReader",
    "Plane",
    "Planes",
    "SeekPoint",
    "SourceIndex",
    "StreamInfo",
    "black_index",
    "decoder_build",
    "index_source",
    "picked_index",
    "source_key_material",
]
