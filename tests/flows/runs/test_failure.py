"""Where a failure is said to be, and what is kept of it."""

from __future__ import annotations

import json
import pickle
from fractions import Fraction

from cluster.errors import Attempt, InputError, StageError
from flows.runs.failure import without_secrets


def test_an_error_keeps_its_moment_and_attempts_on_every_way() -> None:
    error = StageError("one over nothing", where="frame_0004.png")
    error.moment = Fraction(1, 24)
    error.attempts = (Attempt(worker="1", node="tower", error="x", traceback="y"),)
    for other in (pickle.loads(pickle.dumps(error)), error.at("ep/sh010"), error.placed("else")):
        assert (other.moment, other.attempts) == (error.moment, error.attempts)
    assert str(error.at("ep/sh010")) == "ep/sh010: frame_0004.png: one over nothing"
    assert isinstance(pickle.loads(pickle.dumps(InputError("x"))), InputError)


def test_secrets_and_passwords_in_urls_are_struck_out() -> None:
    secret = 'a"b\\c-secret'
    text = json.dumps({"env": secret, "url": "http://bob:pa55@host:9000/x", "mail": "a@b.c"})
    clean = json.loads(without_secrets(text, secrets={secret}))
    assert clean == {"env": "***", "url": "http://***@host:9000/x", "mail": "a@b.c"}
