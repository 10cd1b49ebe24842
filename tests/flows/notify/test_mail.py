"""Mail against a real server: with a login, with TLS, refusing, breaking off and silent."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cluster.settings import settings
from flows.notify import send
from flows.notify.event import Event, EventEpisode, EventShot
from flows.notify.mail import send_mail
from flows.notify.mail_message import make_letter
from flows.notify.retry import Delivery, next_pause_s
from flows.notify.send import deliver, notify
from flows.notify.targets import Mailbox, read_targets
from tests.servers.post_office import PASSWORD, USER, PostOffice, post_office, write_certificate

Change = Callable[..., None]
BOX = Mailbox(
    name="mail", host="m", port=25, tls="off", sender="farm@s.example", to=("td@s.example",)
)


@pytest.fixture
def told(setting: Change) -> Callable[..., None]:
    """Names a post office in the settings."""

    def name(office: PostOffice, **more: object) -> None:
        plain = {"SMTP_HOST": "127.0.0.1", "SMTP_PORT": office.port, "SMTP_TLS": "off"}
        between = {
            "MAIL_FROM": "farm@s.example",
            "MAIL_TO": "td@s.example, b@s.example",
            "NOTIFY_TIMEOUT_S": 120,
        }
        setting(**{**plain, **between, **more})

    return name


@pytest.fixture
def office() -> Iterator[PostOffice]:
    """A server that takes everything."""
    with post_office() as server:
        yield server


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tries follow one another at once."""

    def at_once(*args: Any, **more: Any) -> float | None:
        return None if real(*args, **more) is None else 0.0

    real = next_pause_s
    monkeypatch.setattr(send, "next_pause_s", at_once)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate that nobody trusts who is not told to."""
    return write_certificate(tmp_path_factory.mktemp("tls") / "server.pem")


def failed(**more: Any) -> Event:
    shot = EventShot(
        episode="ep01", shot="sh020", error="sh020/upscale: <no> memory & time", frame=7
    )
    event = {"kind": "failed", "about": "episode", "name": "ep01", "run": "r1", "failed": (shot,)}
    words = {"text": "ep01 failed: 1 of 2 shots (sh020)", "command": "douga render 'ep 01.yaml'"}
    return Event(**{**event, **words, "counts": (("shots", 2), ("shots failed", 1)), **more})


def tell(event: Event | None = None) -> Delivery:
    (delivery,) = deliver(event or failed(), read_targets(settings()))
    return delivery


def test_a_mail_says_in_its_subject_what_happened_and_inside_what_to_do(
    office: PostOffice, told: Callable[..., None]
) -> None:
    told(office)
    event = failed()
    assert tell(event).ok
    (letter,) = office.letters
    assert office.envelopes == [("farm@s.example", ["td@s.example", "b@s.example"])]
    assert letter["Subject"] == "[douga] ep01 failed: 1 of 2 shots (sh020)"
    assert (letter["From"], letter["To"]) == ("farm@s.example", "td@s.example, b@s.example")
    assert letter["Message-ID"] == f"<{event.id}@s.example>"
    assert letter["Auto-Submitted"] == "auto-generated"
    assert letter["Date"].datetime.isoformat(timespec="seconds") == event.at[:19] + "+00:00"
    text = letter.get_body(("plain",))
    page = letter.get_body(("html",))
    assert text is not None
    assert page is not None
    assert "- ep01/sh020 frame 7: sh020/upscale: <no> memory & time" in text.get_content()
    assert "douga render 'ep 01.yaml'" in text.get_content()
    assert "sh020/upscale: &lt;no&gt; memory &amp; time</li>" in page.get_content()


def test_a_night_lists_its_episodes(office: PostOffice, told: Callable[..., None]) -> None:
    told(office)
    episodes = (
        EventEpisode(episode="ep01", state="done"),
        EventEpisode(episode="ep02", state="left out", why="would end after 06:00"),
    )
    tell(failed(about="night", episodes=episodes, report="report/index.html"))
    body = office.letters[0].get_body(("plain",))
    assert body is not None
    lines = body.get_content().splitlines()
    at = lines.index("Episodes:")
    assert lines[at + 1 : at + 3] == ["- ep01: done", "- ep02: left out, would end after 06:00"]
    assert "report:           report/index.html" in lines


@pytest.mark.parametrize(
    "hostile",
    [
        "ep\r\nBcc: all@x.example",
        "ep\nSubject: other",
        "ep\u2028X: y",
        "ep\x00\x1b[31m",
        "ep\udc80",
    ],
)
def test_no_name_can_add_a_header(hostile: str) -> None:
    """Whatever the event holds, even had nobody cleaned it."""
    letter = make_letter(failed(text=f"{hostile} failed", name=hostile), BOX)
    headers = bytes(letter).partition(b"\n\n")[0].decode()
    names = {line.partition(":")[0] for line in headers.splitlines() if not line[0].isspace()}
    assert names == {
        *("From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted"),
        *("MIME-Version", "Content-Type"),
    }


def test_a_subject_in_any_script_arrives(office: PostOffice, told: Callable[..., None]) -> None:
    told(office)
    assert tell(failed(text="第一話 failed: 1 of 2 shots " + "あ" * 200)).ok
    subject = office.letters[0]["Subject"]
    assert subject.startswith("[douga] 第一話 failed")
    assert len(subject) <= 120


@pytest.mark.parametrize("tls", ["starttls", "tls"])
def test_it_logs_in_over_tls_and_the_password_from_a_file(
    tls: str,
    certificate: Path,
    told: Callable[..., None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "password").write_text(f"{PASSWORD}\n")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with post_office(login=True, certificate=certificate, starttls=tls == "starttls") as office:
        told(office, SMTP_TLS=tls, SMTP_USER=USER, SMTP_PASSWORD_FILE=tmp_path / "password")
        assert tell().ok
    assert office.logins == [USER]
    assert len(office.letters) == 1


@pytest.mark.parametrize("tls", ["starttls", "tls"])
def test_nothing_is_said_to_a_server_whose_certificate_is_not_trusted(
    tls: str, certificate: Path, told: Callable[..., None]
) -> None:
    with post_office(login=True, certificate=certificate, starttls=tls == "starttls") as office:
        told(office, SMTP_TLS=tls, SMTP_USER=USER, SMTP_PASSWORD=PASSWORD)
        delivery = tell()
    assert (delivery.ok, delivery.tries) == (False, 1)
    assert delivery.said.startswith("certificate not trusted")
    assert (office.logins, office.letters) == ([], [])


def test_a_server_without_tls_is_not_spoken_to_where_tls_is_wanted(
    office: PostOffice, told: Callable[..., None]
) -> None:
    told(office, SMTP_TLS="starttls")
    delivery = tell()
    assert (delivery.ok, delivery.tries, office.letters) == (False, 1, [])
    assert "STARTTLS" in delivery.said


def test_a_wrong_password_is_told_once_and_not_repeated(told: Callable[..., None]) -> None:
    with post_office(login=True) as office:
        told(office, SMTP_USER=USER, SMTP_PASSWORD="hidden-word")
        delivery = tell()
    assert (delivery.ok, delivery.tries) == (False, 1)
    assert delivery.said == "refused the user or the password (535)"
    assert office.letters == []


def test_a_refused_recipient_is_named_and_the_others_get_it_once(
    office: PostOffice, told: Callable[..., None], listener: Any
) -> None:
    told(office)
    office.refusals["b@s.example"] = "550 5.1.1 no such box"
    notify(failed(), reporter=listener)
    where = f"mail by 127.0.0.1:{office.port}"
    assert listener.notes == [
        f"{where} was not told: refused b@s.example (5.1.1 no such box) (550)"
    ]
    assert office.envelopes == [("farm@s.example", ["td@s.example"])]


@pytest.mark.usefixtures("no_pauses")
def test_what_may_pass_is_sent_again_as_the_same_mail(
    office: PostOffice, told: Callable[..., None]
) -> None:
    told(office)
    office.data[:] = ["451 4.3.0 try later", "250 OK"]
    delivery = tell()
    assert (delivery.ok, delivery.tries) == (True, 2)
    assert (office.tries, len(office.letters)) == (2, 1)


def test_what_will_not_pass_is_sent_once(office: PostOffice, told: Callable[..., None]) -> None:
    told(office)
    office.data[:] = ["554 5.7.1 looks like spam"]
    delivery = tell()
    assert (delivery.ok, delivery.tries, office.tries) == (False, 1, 1)
    assert delivery.said == "said '5.7.1 looks like spam' (554)"


def test_a_server_that_hangs_does_not_hold_us(setting: Change) -> None:
    """It took the connection and says nothing, not even when we have gone on."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        setting(
            SMTP_HOST="127.0.0.1",
            SMTP_PORT=silent.getsockname()[1],
            MAIL_FROM="farm@s.example",
            MAIL_TO="td@s.example",
            NOTIFY_TIMEOUT_S=0.3,
        )
        delivery = tell()
    assert not delivery.ok
    assert delivery.said == "no answer in time"


def test_one_try_of_a_server_that_hangs_ends_by_itself() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        box = replace(BOX, host="127.0.0.1", port=silent.getsockname()[1])
        answer = send_mail(box, make_letter(failed(), box), timeout_s=0.1)
    assert (answer.ok, answer.may_pass, answer.said) == (False, True, "no answer in time")


@pytest.mark.usefixtures("no_pauses")
def test_a_server_that_is_not_there_is_tried_again(setting: Change) -> None:
    with socket.create_server(("127.0.0.1", 0)) as once:
        port = once.getsockname()[1]
    setting(
        SMTP_HOST="127.0.0.1", SMTP_PORT=port, MAIL_FROM="farm@s.example", MAIL_TO="td@s.example"
    )
    delivery = tell()
    assert (delivery.ok, delivery.tries, delivery.said) == (False, 4, "connection refused")
