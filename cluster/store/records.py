"""Records: small JSON documents in a store, each with the number of its schema.

    StoreError
    └── DamagedRecord         this one record says nothing: other bytes, no JSON, another shape
        └── NewerRecord       a newer douga wrote it, in a way that this one does not know

Everybody reads records here, so that one that is damaged, or newer, costs nothing but itself: who
needs many goes on without it (`read_if_whole`), who was asked for this one says so in a line.
Records that were written before schemas had numbers are read as those of number 1.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from cluster.errors import DigestError, DougaError, StoreError
from cluster.store.base import NoDigest, NotStored, Store, check_remedy

log = logging.getLogger(__name__)

SCHEMA = 1
"""Raised when a record gets another meaning; readers of earlier numbers stay."""
FIELD = "schema"
UNFIT = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError)
"""What reading a document of another shape raises."""

T = TypeVar("T")


class DamagedRecord(StoreError):
    """A record that cannot be read; it concerns no other."""


class NewerRecord(DamagedRecord):
    """A record whose schema only a newer douga knows."""


def record_text(document: Mapping[str, Any], **form: Any) -> str:
    """A record as JSON text with the number of its schema; `form` as for `json.dumps`."""
    return json.dumps({FIELD: SCHEMA, **document}, **form)


def read_record(store: Store, name: str, make: Callable[[Any], T]) -> T:
    """What `make` makes of a record's fields, without the schema's number.

    NotStored where it is not there, DamagedRecord where it says nothing.
    """
    try:
        data = store.get(name)
    except NoDigest as error:
        where = f"{store.url}: {name}"
        raise DamagedRecord(error.what, where=where, remedy=error.remedy) from error
    except DigestError as error:
        raise damaged_record(store, name, "its bytes are not those that were put") from error
    return parse_record(store, name, data, make)


def parse_record(store: Store, name: str, data: bytes, make: Callable[[Any], T]) -> T:
    """The same of bytes that were read already."""
    try:
        document = json.loads(data)
        if not isinstance(document, dict):
            raise TypeError(f"{type(document).__name__} instead of fields")
        number = document.pop(FIELD, SCHEMA)
        if not isinstance(number, int):
            raise TypeError("its schema is no number")
    except UNFIT as error:
        raise damaged_record(store, name, f"no record ({_in_few_words(error)})") from error
    if number > SCHEMA:
        raise newer_record(store, name, number)
    try:
        return make(document)
    except UNFIT as error:
        raise damaged_record(store, name, f"of another shape ({_in_few_words(error)})") from error


def read_if_whole(store: Store, name: str, make: Callable[[Any], T], *, then: str) -> T | None:
    """The same; None where it is not there or says nothing, and then a note with what follows from
    that (`then`)."""
    try:
        return read_record(store, name, make)
    except NotStored:
        return None
    except DamagedRecord as error:
        note_damage(error, then=then)
        return None


def note_damage(error: DougaError, *, then: str) -> None:
    """Tell people of something damaged that stops nothing, and what follows from it."""
    said = (f"{error.where}: {error.what}", then, error.remedy)
    log.warning("%s", "; ".join(filter(None, said)))


def newer_record(store: Store, name: str, number: int) -> NewerRecord:
    """The error for a record of a schema that is not known yet."""
    return NewerRecord(
        f"made by a newer douga (schema {number}, this one knows {SCHEMA})",
        where=f"{store.url}: {name}",
        remedy="update this one",
    )


def damaged_record(store: Store, name: str, why: str) -> DamagedRecord:
    """The error for a record that says nothing."""
    return DamagedRecord(
        f"a damaged record: {why}",
        where=f"{store.url}: {name}",
        remedy=check_remedy(store.url),
    )


def shape(kind: type[T]) -> Callable[[Any], T]:
    """Makes a dataclass of a record's fields. Fields that it does not have are left out."""
    made: Any = kind
    make: Callable[[Any], T] = _adapter(made).validate_python
    return make


@cache
def _adapter(kind: Any, /) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def _in_few_words(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"[:100]
    if isinstance(error, KeyError):
        return f"without {str(error)[:80]}"
    return " ".join(str(error).split())[:100] or type(error).__name__
