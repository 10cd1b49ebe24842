"""Pages of reports: HTML files that open from disk, without a network and, but for the timeline,
without scripts.

Everything that comes from outside (names, errors, paths) is escaped, and characters that no page
can hold are replaced.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.words import (
    duration_words,
    moment_words,
    money_words,
    number_words,
    percent_words,
    safe_text,
)

if TYPE_CHECKING:
    from jinja2 import Environment


def render(template: str, **values: Any) -> str:
    """A page from a template of this folder; it extends `base.html.j2`."""
    return _environment().get_template(template).render(**values)


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_safe,
    )
    environment.filters |= {
        "duration": duration_words,
        "hours": lambda hours: duration_words(hours * 3600),
        "money": money_words,
        "moment": moment_words,
        "number": number_words,
        "percent": percent_words,
    }
    return environment


def _safe(value: Any) -> Any:
    """What a template is about to write; what is markup already stays so."""
    return safe_text(value) if isinstance(value, str) and not hasattr(value, "__html__") else value
