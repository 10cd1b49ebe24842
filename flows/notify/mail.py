"""Hand a mail to an SMTP server."""

from __future__ import annotations

import smtplib
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage

from flows.notify.event import plain
from flows.notify.retry import SILENT, Answer
from flows.notify.targets import Mailbox

SAID_AT_MOST = 200


def send_mail(target: Mailbox, letter: EmailMessage, *, timeout_s: float) -> Answer:
    """One try. Raises nothing; `timeout_s` is for each step of the talk with the server."""
    try:
        with _connected(target, timeout_s=timeout_s) as server:
            if target.user:
                server.login(target.user, target.password)
            refused = server.send_message(letter, target.sender, list(target.to))
    except smtplib.SMTPAuthenticationError as error:
        # What the server says may repeat what it was told.
        return _judge("refused the user or the password", error.smtp_code)
    except smtplib.SMTPRecipientsRefused as error:
        return _refused(error.recipients)
    except smtplib.SMTPResponseException as error:
        return _judge(f"said {_words(error.smtp_error)!r}", error.smtp_code)
    except smtplib.SMTPNotSupportedError as error:
        return Answer(ok=False, said=plain(error))
    except smtplib.SMTPServerDisconnected as error:
        silent = isinstance(error.__context__, TimeoutError)
        return Answer(ok=False, said=SILENT if silent else "broke off", may_pass=True)
    except smtplib.SMTPException as error:
        return Answer(ok=False, said=plain(error, at_most=SAID_AT_MOST))
    except ssl.SSLCertVerificationError as error:
        return Answer(ok=False, said=f"certificate not trusted ({error.verify_message})")
    except TimeoutError:
        return Answer(ok=False, said=SILENT, may_pass=True)
    except ssl.SSLError:
        return Answer(ok=False, said="speaks no TLS there; is DOUGA_SMTP_TLS right?")
    except OSError as error:
        return Answer(ok=False, said=(error.strerror or "broke off").lower(), may_pass=True)
    return _refused(refused) if refused else Answer(ok=True, said="taken")


@contextmanager
def _connected(target: Mailbox, *, timeout_s: float) -> Iterator[smtplib.SMTP]:
    """The server, ready for the login; TLS with a certificate that the system trusts."""
    name = socket.gethostname()  # left to itself, smtplib asks DNS for the full name, and waits
    if target.tls == "tls":
        context = ssl.create_default_context()
        with smtplib.SMTP_SSL(
            target.host, target.port, name, timeout=timeout_s, context=context
        ) as server:
            yield server
        return
    with smtplib.SMTP(target.host, target.port, name, timeout=timeout_s) as server:
        if target.tls == "starttls":
            server.starttls(context=ssl.create_default_context())
        yield server


def _refused(recipients: dict[str, tuple[int, bytes]]) -> Answer:
    """Nobody, or not everybody, is taken: a mail to some is not sent again to all."""
    code, said = next(iter(recipients.values()))
    return _judge(f"refused {', '.join(recipients)} ({_words(said)})", code)


def _judge(said: str, code: int) -> Answer:
    """SMTP's 4xx may pass, 5xx will not (RFC 5321, 4.2.1)."""
    return Answer(ok=False, said=plain(f"{said} ({code})"), may_pass=400 <= code < 500)


def _words(said: bytes | str) -> str:
    text = said.decode("utf-8", "replace") if isinstance(said, bytes) else said
    return plain(text, at_most=SAID_AT_MOST)
