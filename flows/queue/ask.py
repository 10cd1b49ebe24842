"""Asks the farm's Prefect server, from commands that are not asynchronous."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

from cluster.errors import ClusterError
from flows.prefect.server import known_api

Ask = Callable[[Coroutine[Any, Any, Any]], Any]
"""What a question came to. Prefect reads its settings when imported: what asks it is imported in
the block."""


@contextmanager
def asking() -> Iterator[Ask]:
    """Asks the server that PREFECT_API_URL names, or that of this machine's `douga up`, for the
    length of a `with`. ClusterError where there is none, or it does not answer."""
    with known_api():
        import httpx
        from prefect.exceptions import PrefectHTTPStatusError

        def ask(question: Coroutine[Any, Any, Any]) -> Any:
            try:
                return asyncio.run(question)
            except (httpx.HTTPError, PrefectHTTPStatusError) as error:
                raise ClusterError(
                    f"the farm's Prefect server did not answer ({type(error).__name__})",
                    remedy="is douga up running there?",
                ) from error

        yield ask
