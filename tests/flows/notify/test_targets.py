"""Which settings make which targets, and what is said of wrong ones."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path

import pytest

from cluster.errors import UsageError
from cluster.settings import settings
from flows.notify.targets import Mailbox, Targets, Webhook, choose_kinds, read_targets
from flows.runs.outcome import Outcome

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
Change = Callable[..., None]


def read() -> Targets:
    return read_targets(settings())


def test_nobody_is_told_unless_somebody_is_named(setting: Change) -> None:
    assert read().targets == ()
    assert not read().wants(Outcome.FAILED)


def test_several_urls_from_a_file_signed_by_a_secret_from_a_file(
    setting: Change, tmp_path: Path
) -> None:
    (tmp_path / "urls").write_text("https://hooks.example/T0/B0/abc\nhttp://10.0.0.7:8080/x\n")
    (tmp_path / "secret").write_text(f"{SECRET}\n")
    setting(WEBHOOK_URL_FILE=tmp_path / "urls", WEBHOOK_SECRET_FILE=tmp_path / "secret")
    first, second = read().targets
    assert isinstance(first, Webhook)
    assert isinstance(second, Webhook)
    assert (first.url, first.name) == ("https://hooks.example/T0/B0/abc", "webhook hooks.example")
    assert (second.url, second.name) == ("http://10.0.0.7:8080/x", "webhook 10.0.0.7:8080")
    assert first.keys == (bytes(range(32)),)


def test_two_urls_of_one_host_are_told_apart_without_their_paths(setting: Change) -> None:
    setting(WEBHOOK_URL="https://h.example/a https://h.example/b")
    assert [each.name for each in read().targets] == [
        "webhook 1 at h.example",
        "webhook 2 at h.example",
    ]


@pytest.mark.parametrize("secret", [SECRET, SECRET.removeprefix("whsec_"), SECRET.rstrip("=")])
def test_a_secret_is_taken_with_and_without_its_prefix_and_padding(
    secret: str, setting: Change
) -> None:
    setting(WEBHOOK_URL="https://h.example/a", WEBHOOK_SECRET=secret)
    (target,) = read().targets
    assert isinstance(target, Webhook)
    assert target.keys == (bytes(range(32)),)


def test_two_secrets_sign_both_so_that_one_can_follow_the_other(setting: Change) -> None:
    other = "whsec_" + base64.b64encode(b"another").decode()
    setting(WEBHOOK_URL="https://h.example/a", WEBHOOK_SECRET=f"{SECRET} {other}")
    (target,) = read().targets
    assert isinstance(target, Webhook)
    assert target.keys == (bytes(range(32)), b"another")


@pytest.mark.parametrize(("tls", "port"), [("", 587), ("starttls", 587), ("tls", 465), ("off", 25)])
def test_the_port_follows_from_tls(tls: str, port: int, setting: Change) -> None:
    setting(
        SMTP_HOST="mail.example",
        SMTP_TLS=tls,
        SMTP_PORT="",
        MAIL_FROM="Farm <farm@s.example>",
        MAIL_TO="td@s.example, Bea <b@s.example>",
    )
    (target,) = read().targets
    assert isinstance(target, Mailbox)
    assert (target.port, target.sender) == (port, "farm@s.example")
    assert target.to == ("td@s.example", "b@s.example")


def test_the_user_sends_where_no_sender_is_named(setting: Change) -> None:
    setting(
        SMTP_HOST="m.example", SMTP_USER="a@s.example", SMTP_PASSWORD="p", MAIL_TO="b@s.example"
    )
    (target,) = read().targets
    assert isinstance(target, Mailbox)
    assert (target.sender, target.user, target.password) == ("a@s.example", "a@s.example", "p")


def test_secrets_are_in_no_repr(setting: Change) -> None:
    setting(
        WEBHOOK_URL="https://h.example/hidden-word",
        WEBHOOK_SECRET=SECRET,
        SMTP_HOST="m.example",
        SMTP_USER="u",
        SMTP_PASSWORD="hidden-word",
        MAIL_FROM="a@s.example",
        MAIL_TO="b@s.example",
    )
    text = repr(read()) + repr(settings())
    assert "hidden-word" not in text
    assert repr(bytes(range(32))) not in text
    assert SECRET.removeprefix("whsec_") not in text


@pytest.mark.parametrize(
    ("words", "wanted", "unwanted"),
    [
        ("", {"done", "failed", "waiting", "wanting", "left out", "stopped"}, set()),
        ("all", {"done", "failed"}, set()),
        ("off", set(), {"done", "failed", "waiting"}),
        ("waiting", {"waiting"}, {"done", "failed"}),
        ("failed", {"failed", "wanting", "left out", "stopped"}, {"done", "waiting"}),
        (" done, failed ", {"done", "failed"}, {"waiting"}),
    ],
)
def test_events_are_chosen_by_word(words: str, wanted: set[str], unwanted: set[str]) -> None:
    kinds = choose_kinds(words)
    assert wanted <= kinds
    assert not unwanted & kinds


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"NOTIFY": "finished"}, "DOUGA_NOTIFY: expected some of done, failed, waiting, all, off"),
        ({"WEBHOOK_URL": "hooks.example/hidden-word"}, "DOUGA_WEBHOOK_URL: expected https://"),
        ({"WEBHOOK_URL": "ftp://h.example/hidden-word"}, "DOUGA_WEBHOOK_URL: expected https://"),
        ({"WEBHOOK_URL": "https://h:port/hidden-word"}, "DOUGA_WEBHOOK_URL: expected https://"),
        (
            {"WEBHOOK_URL": "https://h.example/", "WEBHOOK_SECRET": "hidden-word!"},
            "DOUGA_WEBHOOK_SECRET: expected whsec_",
        ),
        (
            {"WEBHOOK_URL": "https://h.example/", "WEBHOOK_SECRET_FILE": "/nowhere/s"},
            "DOUGA_WEBHOOK_SECRET_FILE=/nowhere/s: cannot be read",
        ),
        ({"WEBHOOK_URL_FILE": "/nowhere/u"}, "DOUGA_WEBHOOK_URL_FILE=/nowhere/u: cannot be read"),
        ({"SMTP_HOST": "m.example"}, "DOUGA_MAIL_TO: expected addresses"),
        ({"SMTP_HOST": "m.example", "MAIL_TO": "a@x"}, "DOUGA_MAIL_FROM: expected addresses"),
        (
            {"SMTP_HOST": "m.example", "MAIL_TO": "a@x\nBcc: b@y", "MAIL_FROM": "a@x"},
            "DOUGA_MAIL_TO: expected addresses",
        ),
        (
            {"SMTP_HOST": "m.example", "MAIL_TO": "a@x", "MAIL_FROM": "a@x, b@x"},
            "DOUGA_MAIL_FROM: expected one address",
        ),
        (
            {"SMTP_HOST": "m.example", "MAIL_TO": "a@x", "MAIL_FROM": "a@x", "SMTP_TLS": "ssl"},
            "DOUGA_SMTP_TLS: expected starttls, tls, off, got 'ssl'",
        ),
        (
            {"SMTP_HOST": "m.example", "MAIL_TO": "a@x", "MAIL_FROM": "a@x", "SMTP_USER": "u"},
            "DOUGA_SMTP_USER: a user without a password",
        ),
        (
            {
                "SMTP_HOST": "m.example", "MAIL_TO": "a@x", "MAIL_FROM": "a@x", "SMTP_USER": "u",
                "SMTP_PASSWORD": "hidden-word", "SMTP_TLS": "off",
            },
            "DOUGA_SMTP_TLS=off: the password would cross the network",
        ),
    ],
)  # fmt: skip
def test_wrong_settings_are_one_line_that_repeats_no_secret(
    given: dict[str, str], said: str, setting: Change
) -> None:
    setting(**given)
    with pytest.raises(UsageError) as raised:
        read()
    assert str(raised.value).startswith(said)
    assert "hidden-word" not in str(raised.value)
