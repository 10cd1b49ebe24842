"""Who is told, of what: the settings read into targets, with every fault in them a clear line."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field
from email.utils import getaddresses
from ipaddress import ip_address
from pathlib import Path
from typing import Literal, cast, get_args
from urllib.parse import urlsplit

from pydantic import SecretStr

from cluster.errors import UsageError
from cluster.secrets import read_secret
from cluster.settings import Settings
from flows.notify.event import Kind
from flows.runs.outcome import Choice, Outcome

Tls = Literal["starttls", "tls", "off"]
PORTS: dict[Tls, int] = {"starttls": 587, "tls": 465, "off": 25}
CHOICES: dict[str, frozenset[Outcome]] = {
    **{word: frozenset(e for e in Outcome if e.choice == word) for word in get_args(Choice)},
    "all": frozenset(Outcome),
    "off": frozenset(),
}
"""What a word of DOUGA_NOTIFY stands for: `failed` is all that is neither done nor waiting."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """A URL to post to. It is a secret as a whole: `name` is what may be shown of it.

    `keys` sign what is posted, each on its own, so that receivers can change from one to another.
    """

    name: str
    url: str = field(repr=False)
    keys: tuple[bytes, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mailbox:
    """A mail server, and between whom it is to carry mail."""

    name: str
    host: str
    port: int
    tls: Tls
    sender: str
    to: tuple[str, ...]
    user: str = ""
    password: str = field(default="", repr=False)


Target = Webhook | Mailbox


@dataclass(frozen=True, slots=True, kw_only=True)
class Targets:
    """All targets, and the kinds of events that they are told of."""

    targets: tuple[Target, ...]
    kinds: frozenset[Outcome]

    def wants(self, kind: Kind) -> bool:
        """Whether anybody is to be told of such an event; tests are sent whatever is chosen."""
        return bool(self.targets) and (kind in self.kinds or kind == "test")


def read_targets(chosen: Settings) -> Targets:
    """The targets that the settings name. UsageError, without a secret in it, if they are wrong."""
    return Targets(
        targets=(*_webhooks(chosen), *_mailboxes(chosen)), kinds=choose_kinds(chosen.notify)
    )


def choose_kinds(words: str) -> frozenset[Outcome]:
    """`done,failed` → the kinds of events; nothing: all. UsageError for a word that is none."""
    kinds: frozenset[Outcome] = frozenset()
    for word in words.replace(",", " ").split() or ["all"]:
        if word not in CHOICES:
            raise UsageError(
                f"expected some of {', '.join(CHOICES)}, got {word!r}", where="DOUGA_NOTIFY"
            )
        kinds |= CHOICES[word]
    return kinds


def _webhooks(chosen: Settings) -> list[Webhook]:
    urls = _secret(chosen.webhook_url, chosen.webhook_url_file, setting="DOUGA_WEBHOOK_URL_FILE")
    given = _secret(
        chosen.webhook_secret, chosen.webhook_secret_file, setting="DOUGA_WEBHOOK_SECRET_FILE"
    )
    keys = tuple(_key(word) for word in given.split())
    hosts = [_host(url) for url in urls.split()]
    return [
        Webhook(
            name=f"webhook {host}" if hosts.count(host) == 1 else f"webhook {place} at {host}",
            url=url,
            keys=keys,
        )
        for place, (url, host) in enumerate(zip(urls.split(), hosts, strict=True), start=1)
    ]


def _secret(value: SecretStr, file: Path | None, *, setting: str) -> str:
    if value.get_secret_value() or file is None:
        return value.get_secret_value()
    return read_secret(file, setting=setting)


def _host(url: str) -> str:
    """The part of a webhook's URL that may be shown."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host or parts.scheme not in ("http", "https"):
        raise UsageError(
            "expected https://host/path, several apart by spaces (not repeated here: it is secret)",
            where="DOUGA_WEBHOOK_URL",
        )
    return f"{host}:{port}" if port else host


def _key(word: str) -> bytes:
    """`whsec_…` or the base64 alone → the bytes that sign."""
    text = word.removeprefix("whsec_").rstrip("=")
    try:
        key = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not key:
        raise UsageError(
            "expected whsec_ and then base64 (not repeated here: it is secret)",
            where="DOUGA_WEBHOOK_SECRET",
            remedy="make one: echo whsec_$(openssl rand -base64 32)",
        ) from None
    return key


def _mailboxes(chosen: Settings) -> list[Mailbox]:
    if not chosen.smtp_host:
        return []
    to = _addresses(chosen.mail_to, setting="DOUGA_MAIL_TO")
    sender = _addresses(chosen.mail_from or chosen.smtp_user, setting="DOUGA_MAIL_FROM")
    if len(sender) != 1:
        raise UsageError("expected one address", where="DOUGA_MAIL_FROM")
    tls = cast(Tls, chosen.smtp_tls or "starttls")
    if tls not in PORTS:
        raise UsageError(
            f"expected {', '.join(PORTS)}, got {chosen.smtp_tls!r}", where="DOUGA_SMTP_TLS"
        )
    password = _secret(
        chosen.smtp_password, chosen.smtp_password_file, setting="DOUGA_SMTP_PASSWORD_FILE"
    )
    if chosen.smtp_user and not password:
        raise UsageError(
            "a user without a password",
            where="DOUGA_SMTP_USER",
            remedy="set DOUGA_SMTP_PASSWORD_FILE or DOUGA_SMTP_PASSWORD",
        )
    if chosen.smtp_user and tls == "off" and not _is_this_machine(chosen.smtp_host):
        raise UsageError(
            "the password would cross the network for all to read",
            where="DOUGA_SMTP_TLS=off",
            remedy="use starttls or tls, or no user",
        )
    port = chosen.smtp_port or PORTS[tls]
    return [
        Mailbox(
            name=f"mail by {chosen.smtp_host}:{port}",
            host=chosen.smtp_host,
            port=port,
            tls=tls,
            sender=sender[0],
            to=to,
            user=chosen.smtp_user,
            password=password if chosen.smtp_user else "",
        )
    ]


def _addresses(text: str, *, setting: str) -> tuple[str, ...]:
    """The bare addresses of `a@x, Bea <b@y>`."""
    found = tuple(address for _, address in getaddresses([text]))
    good = [a.isascii() and a.isprintable() and a.count("@") == 1 and " " not in a for a in found]
    if not all(good) or not found or "\n" in text or "\r" in text:
        raise UsageError(
            f"expected addresses such as td@studio.example, got {text!r}", where=setting
        )
    return found


def _is_this_machine(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
