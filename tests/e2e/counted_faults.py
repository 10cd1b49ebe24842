"""Faults by count: the n-th write, rename, fsync, removal, folder or process that this process asks
the system for is refused, whatever it is for; or the n-th request to S3 is, or its answer lost."""

from __future__ import annotations

import builtins
import errno
import io
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse
from botocore.exceptions import ConnectionClosedError
from botocore.httpsession import URLLib3Session
from urllib3 import HTTPResponse

KINDS = {
    "write": errno.ENOSPC,
    "rename": errno.EIO,
    "fsync": errno.EIO,
    "remove": errno.EACCES,
    "folder": errno.EDQUOT,
    "process": errno.EAGAIN,
}
"""What is refused, and with which word of the system's."""
REQUESTS = ("request", "answer")
"""What befalls a request to S3: the service refuses the key; it does as asked, and nobody hears."""
_CALLS = {
    "rename": ("rename", "replace", "link"),
    "fsync": ("fsync",),
    "remove": ("unlink", "remove", "rmdir"),
    "folder": ("mkdir",),
}


REFUSAL = b"<Error><Code>AccessDenied</Code><Message>not this time</Message></Error>"


class Fault:
    """Counts calls of a kind; the `at`-th is refused (0: none). `asked` is how many there were."""

    def __init__(self, kind: str, at: int = 0) -> None:
        self.kind, self.at, self.asked = kind, at, 0
        self.struck = ""
        self._lock = threading.Lock()

    def count(self, what: object) -> None:
        """One more call, about a path or a program. OSError if it is the one."""
        if isinstance(what, int) or str(what).startswith(("/dev/", "/proc/")):
            what = ""
        if self._strikes(str(what)):
            number = KINDS[self.kind]
            raise OSError(number, os.strerror(number), str(what) or None)

    def _strikes(self, what: str) -> bool:
        with self._lock:
            self.asked += 1
            strike = self.asked == self.at
        if strike:
            self.struck = what
        return strike

    @contextmanager
    def planted(self) -> Iterator[Fault]:
        """For the length of the block."""
        with pytest.MonkeyPatch.context() as patch:
            for name in _CALLS.get(self.kind, ()):
                patch.setattr(os, name, self._counted(getattr(os, name)))
            if self.kind == "write":
                opened = self._open(builtins.open)
                patch.setattr(builtins, "open", opened)
                patch.setattr(io, "open", opened)
            if self.kind in REQUESTS:
                patch.setattr(URLLib3Session, "send", self._sent(URLLib3Session.send))
            if self.kind == "process":
                patch.setattr(subprocess, "Popen", self._popen())
            yield self

    def _counted(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(first: Any, *more: Any, **named: Any) -> Any:
            self.count(first)
            return call(first, *more, **named)

        return counted

    def _open(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def opened(file: Any, mode: str = "r", *more: Any, **named: Any) -> Any:
            found = real(file, mode, *more, **named)
            if not set(mode) & set("wxa+"):
                return found
            return _Counting(found, lambda: self.count(file))

        return opened

    def _sent(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def sent(session: Any, request: Any) -> Any:
            strikes = self._strikes(f"{request.method} {request.url}")
            if strikes and self.kind == "request":
                body = HTTPResponse(io.BytesIO(REFUSAL), preload_content=False)
                return AWSResponse(request.url, 403, {}, body)
            answer = real(session, request)
            if strikes:
                raise ConnectionClosedError(endpoint_url=request.url)
            return answer

        return sent

    def _popen(self) -> type[subprocess.Popen[Any]]:
        fault = self

        class Counted(subprocess.Popen[Any]):
            def __init__(self, args: Any, *more: Any, **named: Any) -> None:
                fault.count(args if isinstance(args, str) else next(iter(args)))
                super().__init__(args, *more, **named)

        return Counted


class _Counting:
    """A file whose writes are counted before they are made."""

    def __init__(self, file: Any, count: Callable[[], None]) -> None:
        self._file, self._count = file, count

    def write(self, data: Any) -> int:
        """Write, or be refused."""
        self._count()
        return int(self._file.write(data))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __enter__(self) -> _Counting:
        self._file.__enter__()
        return self

    def __exit__(self, *of: Any) -> None:
        self._file.__exit__(*of)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._file)
