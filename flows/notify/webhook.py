"""Post an event as JSON, signed as the Standard Webhooks specification 1.0 says."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

from cluster.retry import read_retry_after
from flows.notify.event import Event, plain
from flows.notify.retry import SILENT, Answer
from flows.notify.targets import Webhook

MAY_PASS = frozenset({408, 425, 429})
"""Statuses besides 5xx after which the same request may be taken (RFC 9110, 8470, 6585)."""


def make_body(event: Event) -> bytes:
    """The JSON to post: `type`, `timestamp`, `data`, and `text` for chats that show just that.

    `text` has &, < and > escaped as Slack and those like it want: a name can ping nobody.
    """
    text = event.text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    document = {"type": event.type, "timestamp": event.at, "text": text, "data": event.to_json()}
    return json.dumps(document, separators=(",", ":")).encode()


def sign(body: bytes, *, id: str, timestamp: int, keys: Sequence[bytes]) -> str:
    """The `webhook-signature` header: a signature by each key, apart by spaces."""
    signed = f"{id}.{timestamp}.".encode() + body
    digests = (hmac.digest(key, signed, hashlib.sha256) for key in keys)
    return " ".join(f"v1,{base64.b64encode(digest).decode()}" for digest in digests)


def post(target: Webhook, event: Event, *, timeout_s: float) -> Answer:
    """One try. Goes nowhere but to the URL: no redirect is followed. Raises nothing."""
    import httpx

    now = datetime.now(UTC)
    body = make_body(event)
    timestamp = int(now.timestamp())
    headers = {
        "content-type": "application/json",
        "user-agent": "douga",
        "webhook-id": event.id,
        "webhook-timestamp": str(timestamp),
    }
    if target.keys:
        signature = sign(body, id=event.id, timestamp=timestamp, keys=target.keys)
        headers["webhook-signature"] = signature
    try:
        with (
            _hushed(),
            httpx.Client(timeout=timeout_s, follow_redirects=False) as client,
            # Only the head of the answer is read: a body may be endless, and may repeat secrets.
            client.stream("POST", target.url, content=body, headers=headers) as answer,
        ):
            return _judge(answer.status_code, answer.headers.get("retry-after", ""), now=now)
    except httpx.TimeoutException:
        return Answer(ok=False, said=SILENT, may_pass=True)
    except httpx.TransportError as error:
        return _broken_off(error)
    except (httpx.InvalidURL, httpx.HTTPError, ValueError, OSError) as error:
        return Answer(ok=False, said=f"cannot be posted to ({type(error).__name__})")


def _judge(status: int, retry_after: str, *, now: datetime) -> Answer:
    if 200 <= status < 300:
        return Answer(ok=True, said=f"taken ({status})")
    if 300 <= status < 400:
        said = f"answered {status}: it points elsewhere, which is not followed; set the new URL"
        return Answer(ok=False, said=said)
    after_s = read_retry_after(retry_after, now=now) if retry_after else 0.0
    return Answer(
        ok=False,
        said=f"answered {status}" + (f", come back in {after_s:.0f} s" if after_s else ""),
        may_pass=status in MAY_PASS or status >= 500,
        after_s=after_s,
    )


def _broken_off(error: Exception) -> Answer:
    """Why nothing came, in words that never hold the URL; a bad certificate stays one."""
    import ssl

    inner: BaseException | None = error
    while inner is not None:
        if isinstance(inner, ssl.SSLCertVerificationError):
            return Answer(ok=False, said=f"certificate not trusted ({inner.verify_message})")
        if isinstance(inner, OSError) and inner.strerror:
            return Answer(ok=False, said=plain(inner.strerror.lower()), may_pass=True)
        inner = inner.__cause__ or inner.__context__
    return Answer(ok=False, said=f"broke off ({type(error).__name__})", may_pass=True)


@contextmanager
def _hushed() -> Iterator[None]:
    """httpx logs every URL in full: nothing of what this thread asks for is logged."""
    thread = threading.get_ident()

    def from_elsewhere(record: logging.LogRecord) -> bool:
        return record.thread != thread

    log = logging.getLogger("httpx")
    log.addFilter(from_elsewhere)
    try:
        yield
    finally:
        log.removeFilter(from_elsewhere)
