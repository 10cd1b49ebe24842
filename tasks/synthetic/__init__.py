"""A laboratory: a short film with exact truth (`douga sample`).

In: a seed, a size. Out: a film, drawings and truth.

description  what a short is (frozen data)      synthesise  writes one from a seed
take, outdoors, indoors, action, staging        from a moment to a scene
cast, face, hair, bust, figure, creature, effects           what is drawn
easel, landscapes, cities, rooms, painting                  what is painted
curves, cel, scene, raster, film                            pixels at any size and instant
sound, subtitles, font, colour, container, lossless, truth, write     files
"""

from tasks.synthetic.container import Encoding
from tasks.synthetic.description import Short, Shot
from tasks.synthetic.film import (
    picture_identity,
    region_colours,
    render_frame,
    render_line_art,
    render_painted,
    render_regions,
)
from tasks.synthetic.lossless import read_frames, read_span
from tasks.synthetic.synthesise import synthesise
from tasks.synthetic.truth import Truth, read_truth
from tasks.synthetic.write import SamplePaths, TruthParts, picture_truth, write_sample

__all__ = [
    "Encoding",
    "SamplePaths",
    "Short",
    "Shot",
    "Truth",
    "TruthParts",
    "picture_identity",
    "picture_truth",
    "read_frames",
    "read_span",
    "read_truth",
    "region_colours",
    "render_frame",
    "render_line_art",
    "render_painted",
    "render_regions",
    "synthesise",
    "write_sample",
]
