"""When a request to an S3 service is sent again, after which wait, and when it is given up."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError

from cluster.errors import StoreError
from cluster.store.s3_errors import asked_wait_s
from cluster.store.s3_retries import LONGEST_ASKED_S, PLAIN, Retries, wait_s


def test_the_bound_of_a_wait_doubles_up_to_the_longest() -> None:
    bounds = [wait_s(failed, chance=1.0) for failed in range(1, 12)]
    assert bounds[:4] == [0.2, 0.4, 0.8, 1.6]
    assert bounds[-1] == PLAIN.longest_s


def test_all_of_a_wait_is_left_to_chance() -> None:
    assert wait_s(5, chance=0.0) == 0.0
    assert wait_s(5, chance=0.25) == wait_s(5, chance=1.0) / 4


def test_what_a_service_asks_for_comes_before_chance_and_has_a_bound() -> None:
    assert wait_s(1, chance=0.0, busy=True, asked_s=7.0) == 7.0
    assert wait_s(1, chance=0.0, asked_s=86_400.0) == LONGEST_ASKED_S


def refusal(**headers: str) -> ClientError:
    answer = {"Error": {"Code": "SlowDown"}, "ResponseMetadata": {"HTTPHeaders": headers}}
    return ClientError(answer, "PutObject")  # type: ignore[arg-type]


def test_what_a_refusal_asks_for_is_read_of_its_headers() -> None:
    assert asked_wait_s(refusal(**{"retry-after": "12"})) == 12
    assert asked_wait_s(refusal()) == asked_wait_s(None) == 0


def failing(times: int, *, retryable: bool) -> list[StoreError]:
    return [StoreError(f"no {n}", where="s3://b: get x", retryable=retryable) for n in range(times)]


@pytest.mark.parametrize("failures", [0, 1, 4])
def test_a_request_is_tried_until_it_succeeds(failures: int) -> None:
    waits: list[float] = []
    retries = Retries(5, chance=lambda: 0.5, sleep=waits.append)
    errors = failing(failures, retryable=True)

    def call() -> str:
        if errors:
            raise errors.pop()
        return "done"

    assert retries.run(call) == "done"
    assert waits == [0.1, 0.2, 0.4, 0.8][:failures]
    assert retries.count == failures


def test_a_request_is_given_up_after_its_last_try(caplog: pytest.LogCaptureFixture) -> None:
    waits: list[float] = []
    retries = Retries(3, sleep=waits.append)
    errors = failing(9, retryable=True)

    def call() -> None:
        raise errors.pop(0)

    with pytest.raises(StoreError, match="no 2"):
        retries.run(call)
    assert len(errors) == 6
    assert len(waits) == len(caplog.messages) == retries.count == 2
    assert caplog.messages[0].startswith("s3://b: get x: no 0; try 2 of 3 in ")


def test_what_cannot_pass_is_not_tried_again() -> None:
    retries = Retries(5, sleep=lambda _: pytest.fail("waited"))
    errors = failing(2, retryable=False)

    def call() -> None:
        raise errors.pop()

    with pytest.raises(StoreError):
        retries.run(call)
    assert len(errors) == 1
