"""Who may do what at the desk.

Three ways in. Without accounts or a proxy the desk listens on this machine alone, and whoever
reaches it is who started it. With accounts (`douga desk account`) people log in with a password,
kept as argon2. Behind a proxy that authenticates (`DOUGA_DESK_PROXIES`) its header names the
person, and is believed from the listed addresses only. Programs bring a bearer token, kept as its
SHA-256. All of this lies in the desk's own folder of mode 700, never in a store: workers read it.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import json
import os
import secrets
import threading
import time
from collections import defaultdict
from dataclasses import asdict, dataclass, replace
from enum import IntEnum
from pathlib import Path

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from cluster.errors import DougaError, UsageError
from cluster.files import fault_of_path

SESSION_S = 12 * 3600
"""A working day; whoever still looks logs in again the next morning."""
TRIES = 5
"""Wrong passwords for a name, or from an address, before it has to wait."""
WAIT_S = 60.0
LONGEST_NAME = 80
Networks = tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]
PASSWORD_LETTERS = 10


class Role(IntEnum):
    """What a person may do; each may also do what those before may."""

    VIEWER = 1
    """Looks."""
    ARTIST = 2
    """Sends shots back, with strokes and words."""
    SUPERVISOR = 3
    """Approves; after the last approval the film goes on."""
    ADMIN = 4
    """Starts a run again."""

    @classmethod
    def named(cls, word: str) -> Role:
        """The role of a name. UsageError for another word."""
        try:
            return cls[word.upper()]
        except KeyError:
            names = ", ".join(role.name.lower() for role in cls)
            raise UsageError(f"unknown role {word[:40]!r}", remedy=f"use one of {names}") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Who asks. `session` is what their CSRF token is bound to, empty for a program's token."""

    name: str
    role: Role
    session: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A person that is known. `password` is an argon2 hash, empty for one that a proxy vouches for;
    `tokens` are SHA-256 of bearer tokens, by what they are for."""

    role: str
    password: str = ""
    tokens: dict[str, str]


class Accounts:
    """The accounts of a desk, in one file of mode 600 that is replaced as a whole; read again when
    it changes, so that a removed account is out at once."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "accounts.json"
        self._hasher = PasswordHasher()
        self._nobody = self._hasher.hash(secrets.token_hex())

    def all(self) -> dict[str, Account]:
        """Every account by its name. DougaError where the file cannot be read."""
        try:
            document = json.loads(self._file.read_text())
            return {name: Account(**told) for name, told in document.items()}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, TypeError) as error:
            raise DougaError(
                "the desk's accounts cannot be read",
                where=str(self._file),
                remedy="restore it, or remove it and add the accounts again",
            ) from error

    def put(self, name: str, *, role: Role, password: str = "") -> None:
        """Add an account, or change its role, and its password if one is given."""
        if not name or len(name) > LONGEST_NAME or fault_of_path(name) or not name.isprintable():
            raise UsageError(f"not a name for an account: {name[:LONGEST_NAME]!r}")
        if password and len(password) < PASSWORD_LETTERS:
            raise UsageError(
                f"expected a password of {PASSWORD_LETTERS} letters at least, got {len(password)}",
                remedy="take four words that nobody says together",
            )
        known = self.all()
        before = known.get(name, Account(role="", tokens={}))
        hashed = self._hasher.hash(password) if password else before.password
        self._write({**known, name: replace(before, role=role.name.lower(), password=hashed)})

    def remove(self, name: str) -> None:
        """Take an account away, its sessions and tokens with it. UsageError for an unknown one."""
        known = self.all()
        if name not in known:
            raise _unknown(name)
        self._write({each: account for each, account in known.items() if each != name})

    def make_token(self, name: str, purpose: str) -> str:
        """A bearer token for a program of this person; only its hash is kept."""
        known = self.all()
        if name not in known:
            raise _unknown(name)
        token = f"douga_{secrets.token_urlsafe(32)}"
        tokens = {**known[name].tokens, purpose: _token_hash(token)}
        self._write({**known, name: replace(known[name], tokens=tokens)})
        return token

    def with_password(self, name: str, password: str) -> Account | None:
        """The account whose password this is. Takes as long for a name that is not known."""
        account = self.all().get(name)
        hashed = account.password if account and account.password else self._nobody
        try:
            self._hasher.verify(hashed, password)
        except (VerificationError, InvalidHashError):
            return None
        return account if account and account.password else None

    def with_token(self, token: str) -> Person | None:
        """Whose token this is."""
        asked = _token_hash(token)
        for name, account in self.all().items():
            if any(hmac.compare_digest(asked, kept) for kept in account.tokens.values()):
                return Person(name=name, role=Role.named(account.role))
        return None

    def _write(self, accounts: dict[str, Account]) -> None:
        text = json.dumps({name: asdict(account) for name, account in accounts.items()}, indent=1)
        fresh = self._file.with_suffix(f".{secrets.token_hex(4)}")
        with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(text)
        fresh.replace(self._file)


def _unknown(name: str) -> UsageError:
    return UsageError(f"no account {name[:LONGEST_NAME]!r}", remedy="see douga desk accounts")


def _token_hash(token: str) -> str:
    # 256 random bits need no slow hash.
    return hashlib.sha256(token.encode()).hexdigest()


class Sessions:
    """Signed session cookies: `name|expiry|signature`. The signature is also over the account's
    password hash and role, so that a new password or role ends them; nothing is kept for them."""

    def __init__(self, folder: Path) -> None:
        file = folder / "secret"
        if not file.exists():
            handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with open(handle, "wb") as made:
                made.write(secrets.token_bytes(32))
        self._secret = file.read_bytes()

    def begin(self, name: str, account: Account) -> str:
        """A cookie for a person who has just logged in."""
        until = f"{int(time.time()) + SESSION_S}"
        return f"{name.encode().hex()}|{until}|{self._sign(name, until, account)}"

    def person(self, cookie: str, accounts: Accounts) -> Person | None:
        """Whose session a cookie is; None where it is over, forged, or its account has changed."""
        coded, _, rest = cookie.partition("|")
        until, _, signature = rest.partition("|")
        try:
            name = bytes.fromhex(coded).decode()
            over = int(until) < time.time()
        except ValueError:
            return None
        account = accounts.all().get(name)
        if account is None or over:
            return None
        if not hmac.compare_digest(signature, self._sign(name, until, account)):
            return None
        return Person(name=name, role=Role.named(account.role), session=signature)

    def csrf(self, person: Person) -> str:
        """The token that a page of this person sends back with everything that it changes."""
        return self._hmac(f"csrf|{person.name}|{person.session}")

    def _sign(self, name: str, until: str, account: Account) -> str:
        return self._hmac(f"{name}|{until}|{account.password}|{account.role}")

    def _hmac(self, text: str) -> str:
        return hmac.new(self._secret, text.encode(), hashlib.sha256).hexdigest()


class Attempts:
    """Slows down whoever guesses passwords: after TRIES wrong ones for a name or from an address,
    WAIT_S without another try."""

    def __init__(self) -> None:
        self._wrong: defaultdict[str, list[float]] = defaultdict(list)
        self._lock = threading.Lock()

    def may_try(self, *keys: str) -> bool:
        """Whether another try is allowed now."""
        with self._lock:
            return all(len(self._recent(key)) < TRIES for key in keys)

    def was_wrong(self, *keys: str) -> None:
        """Count a wrong try."""
        with self._lock:
            for key in keys:
                self._recent(key).append(time.monotonic())

    def _recent(self, key: str) -> list[float]:
        since = time.monotonic() - WAIT_S
        if len(self._wrong) > 10_000:
            recent = {key: at for key, at in self._wrong.items() if at and at[-1] > since}
            self._wrong = defaultdict(list, recent)
        self._wrong[key] = [at for at in self._wrong[key] if at > since]
        return self._wrong[key]


def is_loopback(host: str) -> bool:
    """Whether what listens there is reached from this machine alone."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def read_networks(text: str) -> Networks:
    """Addresses and networks, joined by commas. UsageError names one that is none."""
    found = []
    for word in filter(None, (part.strip() for part in text.split(","))):
        try:
            found.append(ipaddress.ip_network(word, strict=False))
        except ValueError:
            raise UsageError(
                f"expected an address or a network, got {word[:60]!r}",
                where="DOUGA_DESK_PROXIES",
                remedy="for example 10.0.0.5 or 10.0.0.0/24",
            ) from None
    return tuple(found)


def is_in(address: str, networks: Networks) -> bool:
    """Whether an address is in one of the networks."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(found in network for network in networks)
