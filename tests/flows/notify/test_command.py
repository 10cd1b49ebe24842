"""`douga notify`: who is told, and whether they can be reached."""

from __future__ import annotations

import base64
from typing import Any

from tests.servers.hooks import Receiver, Reply
from tests.servers.post_office import PASSWORD, USER, post_office

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def test_it_says_what_each_target_answered_and_no_secret(hook: Receiver, douga: Any) -> None:
    with post_office(login=True) as office:
        ended = douga(
            *("--debug", "notify", "--test", "--json"),
            DOUGA_WEBHOOK_URL=f"{hook.url}/services/hidden-word",
            DOUGA_WEBHOOK_SECRET=SECRET,
            DOUGA_SMTP_HOST="127.0.0.1",
            DOUGA_SMTP_PORT=str(office.port),
            DOUGA_SMTP_TLS="off",
            DOUGA_SMTP_USER=USER,
            DOUGA_SMTP_PASSWORD=PASSWORD,
            DOUGA_MAIL_FROM="farm@s.example",
            DOUGA_MAIL_TO="td@s.example",
        )
    assert ended.code == 0, ended.err
    assert [each["ok"] for each in ended.document["targets"]] == [True, True]
    assert ended.document["targets"][0]["said"] == "taken (204)"
    assert hook.read(SECRET)["type"] == "test"
    assert len(office.letters) == 1
    said = ended.out + ended.err
    for secret in ("hidden-word", PASSWORD, SECRET.removeprefix("whsec_")):
        assert secret not in said
        assert base64.b64encode(secret.encode()).decode() not in said


def test_it_fails_if_one_refuses(hook: Receiver, douga: Any) -> None:
    hook.replies[:] = [Reply(403)]
    ended = douga("notify", "--test", DOUGA_WEBHOOK_URL=f"{hook.url}/hidden-word")
    assert ended.code == 1
    assert "BAD" in ended.out
    assert "answered 403" in ended.out
    assert "hidden-word" not in ended.out + ended.err


def test_without_test_it_sends_nothing(hook: Receiver, douga: Any) -> None:
    ended = douga("notify", "--json", DOUGA_WEBHOOK_URL=f"{hook.url}/x", DOUGA_NOTIFY="waiting")
    assert ended.code == 0, ended.err
    assert ended.document["events"] == ["waiting"]
    assert len(ended.document["targets"]) == 1
    assert hook.posted == []


def test_nobody_to_test_is_a_usage_error(douga: Any) -> None:
    ended = douga("notify", "--test")
    assert ended.code == 64
    assert "DOUGA_WEBHOOK_URL" in ended.err
