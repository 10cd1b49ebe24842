"""Templates to pages: escaped, in the viewer's language, with what every page needs."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from flows.desk.feed import event_name
from flows.words import duration_words, money_words, safe_text, size_words

if TYPE_CHECKING:
    from jinja2 import Environment

FOLDER = Path(__file__).parent
FIRST_FRAMES = (1001, 1, 0)
"""What a shot's first frame is called; the same everywhere a frame is named."""


def render_page(template: str, **values: Any) -> str:
    """A page or a part of one."""
    return _environment().get_template(template).render(**values)


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(FOLDER / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_safe,
    )
    environment.filters |= {
        "duration": duration_words,
        "money": money_words,
        "size": size_words,
        "path": lambda text: quote(str(text), safe=""),
    }
    environment.globals["event_name"] = event_name
    return environment


def _safe(value: Any) -> Any:
    """What a template is about to write; what is markup already stays so."""
    return safe_text(value) if isinstance(value, str) and not hasattr(value, "__html__") else value
