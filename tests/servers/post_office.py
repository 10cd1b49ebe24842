"""A mail server in this process (aiosmtpd), with a login, TLS and refusals as a test asks."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any, cast

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

USER, PASSWORD = "farm", "planted-mail-password-5e"


@dataclass
class PostOffice:
    """`letters` are what was taken; `refusals` say by recipient what is answered, `data` what to
    each letter (used up one by one)."""

    port: int = 0
    refusals: dict[str, str] = field(default_factory=dict)
    data: list[str] = field(default_factory=list)
    letters: list[EmailMessage] = field(default_factory=list)
    envelopes: list[tuple[str, list[str]]] = field(default_factory=list)
    logins: list[str] = field(default_factory=list)
    tries: int = 0

    async def handle_RCPT(
        self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any
    ) -> str:
        """A recipient is taken or refused."""
        if address in self.refusals:
            return self.refusals[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:
        """A letter is taken or refused."""
        self.tries += 1
        if self.data and not (answer := self.data.pop(0)).startswith("250"):
            return answer
        letter = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(letter, EmailMessage)
        self.letters.append(letter)
        self.envelopes.append((envelope.mail_from, envelope.rcpt_tos))
        return "250 OK"

    def login(self, _server: Any, _session: Any, _envelope: Any, _how: str, who: Any) -> AuthResult:
        """Whether user and password are right."""
        assert isinstance(who, LoginPassword)
        self.logins.append(who.login.decode())
        good = (who.login, who.password) == (USER.encode(), PASSWORD.encode())
        return AuthResult(success=good, handled=good)


class _Anywhere(Controller):
    """A controller that lets the system choose the port, and has patience with a busy machine."""

    def _trigger_server(self) -> None:
        self.port = cast(asyncio.Server, self.server).sockets[0].getsockname()[1]
        with ExitStack() as open_:
            line = open_.enter_context(socket.create_connection(("127.0.0.1", self.port), 60))
            if self.ssl_context:
                anybody = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
                anybody.check_hostname, anybody.verify_mode = False, ssl.CERT_NONE
                line = open_.enter_context(anybody.wrap_socket(line))
            line.recv(1024)


@contextmanager
def post_office(
    *, login: bool = False, certificate: Path | None = None, starttls: bool = False
) -> Iterator[PostOffice]:
    """A server on a free port of 127.0.0.1; with a certificate it speaks TLS from the first byte,
    or after STARTTLS, which it then insists on."""
    office = PostOffice()
    more: dict[str, Any] = {}
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        more = (
            {"tls_context": context, "require_starttls": True}
            if starttls
            else {"ssl_context": context}
        )
    if login:
        more |= {"authenticator": office.login, "auth_required": starttls}
        more |= {"auth_require_tls": starttls}
    controller = _Anywhere(office, hostname="127.0.0.1", port=0, ready_timeout=60, **more)
    controller.start()
    try:
        office.port = controller.port
        yield office
    finally:
        controller.stop()


def write_certificate(path: Path, *, names: tuple[str, ...] = ("127.0.0.1",)) -> Path:
    """A key and a certificate that signs itself, for addresses of this machine, in one file."""
    from datetime import UTC, datetime, timedelta
    from ipaddress import ip_address

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, names[0])])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address(each)) for each in names]),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    path.write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(pem)
    )
    return path
