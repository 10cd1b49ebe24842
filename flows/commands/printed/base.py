"""What all printed documents are."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

Json = dict[str, Any]


class Printed(BaseModel):
    """A document, or a part of one, that a command prints: all fields, no others."""

    model_config = ConfigDict(extra="forbid")


class Open(BaseModel):
    """A document that also carries what another one holds."""

    model_config = ConfigDict(extra="allow")
