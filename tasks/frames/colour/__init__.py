"""Y'CbCr planes to R'G'B' frame codes and back, exactly, and which picture a film is written as."""

from tasks.frames.colour.convert import Planes, planes_from_rgb, rgb_from_planes
from tasks.frames.colour.delivery import Encoder, delivery_picture
from tasks.frames.colour.hdr import Hdr, parse_hdr
from tasks.frames.colour.layout import Layout, layout_of

__all__ = [
    "Encoder",
    "Hdr",
    "Layout",
    "Planes",
    "delivery_picture",
    "layout_of",
    "parse_hdr",
    "planes_from_rgb",
    "rgb_from_planes",
]
