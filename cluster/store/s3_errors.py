"""Turns botocore's errors into StoreErrors: one line, the place, the next step, never a secret."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import (
    ClientError,
    ConnectionError,
    CredentialRetrievalError,
    HTTPClientError,
    IncompleteReadError,
    NoCredentialsError,
    PartialCredentialsError,
)
from botocore.parsers import ResponseParserError

from cluster.errors import DigestError, StoreError
from cluster.retry import read_retry_after
from cluster.store.base import NotAllowed, NotStored

CHECK_KEYS = (
    "check DOUGA_S3_ACCESS_KEY and DOUGA_S3_SECRET_KEY "
    "(or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY)"
)
CHECK_ENDPOINT = "check DOUGA_S3_ENDPOINT (or AWS_ENDPOINT_URL) and the network"
REFUSED_KEY = {"403", "401", "InvalidToken", "Unauthorized"}
REFUSED_KEY_REMEDIES = {
    "InvalidAccessKeyId": "it does not know the access key: check DOUGA_S3_ACCESS_KEY "
    "(or AWS_ACCESS_KEY_ID)",
    "SignatureDoesNotMatch": f"access key and secret key do not belong together: {CHECK_KEYS}",
    "AccessDenied": f"give the key the rights of its role (infra/policies), or {CHECK_KEYS}",
}
MUTE = {"400", "403"}
"""Codes of refusals without a reason, as all answers to HEAD are."""
EXPIRED_KEY = {"ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired"}
BUSY = {"429", "SlowDown", "TooManyRequests", "Throttling", "RequestLimitExceeded"}
PASSING = {
    *("RequestTimeout", "BadDigest", "InvalidDigest", "IncompleteBody", "OperationAborted"),
    *("XAmzContentSHA256Mismatch", "XAmzContentChecksumMismatch"),
}
"""Answers below 500 to requests that came late, damaged or together with another."""
NOT_STORED = {"404", "NoSuchKey", "NotFound"}
ALREADY_THERE = {"412", "PreconditionFailed", "ConditionalRequestConflict"}
SKEWED_CLOCK = {"RequestTimeTooSkewed", "RequestExpired"}


class AlreadyThere(StoreError):
    """A put with a condition found an object there, perhaps its own from an earlier try."""


def explain(error: Exception, *, where: str, bucket: str) -> StoreError:
    """The StoreError for an error of botocore's; `retryable` if the cause may pass."""
    if isinstance(error, ClientError):
        return _explain_answer(error, where=where, bucket=bucket)
    if isinstance(error, NoCredentialsError | PartialCredentialsError | CredentialRetrievalError):
        return StoreError("no complete pair of S3 keys was given", where=where, remedy=CHECK_KEYS)
    if isinstance(error, ResponseParserError):
        return StoreError(
            "the S3 service's answer cannot be read",
            where=where,
            remedy=CHECK_ENDPOINT,
            retryable=True,
        )
    if isinstance(error, ConnectionError | HTTPClientError | IncompleteReadError):
        return StoreError(
            f"the S3 service does not answer ({type(error).__name__})",
            where=where,
            remedy=CHECK_ENDPOINT,
            retryable=True,
        )
    return StoreError(
        f"the S3 client refused ({type(error).__name__})",
        where=where,
        remedy=f"{CHECK_ENDPOINT}; the region is DOUGA_S3_REGION",
    )


def _explain_answer(error: ClientError, *, where: str, bucket: str) -> StoreError:
    code = code_of(error)
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    if code == "NoSuchBucket":
        return StoreError(
            f"no bucket {bucket!r} there",
            where=where,
            remedy=f"make it (aws s3 mb s3://{bucket}) or correct --store",
        )
    if code in NOT_STORED:
        return NotStored("no such object", where=where, remedy="run again to make it")
    if code in ALREADY_THERE:
        return AlreadyThere("another object was there first", where=where)
    if code in SKEWED_CLOCK:
        return StoreError(
            "this machine's clock differs too much from the S3 service's",
            where=where,
            remedy="set the clock",
        )
    if code in EXPIRED_KEY:
        return StoreError(
            f"the S3 service refused the key ({code}): it has expired",
            where=where,
            remedy="get a new one (AWS_SESSION_TOKEN and its keys) and run the same again: "
            "what is stored is used",
        )
    if code in REFUSED_KEY or code in REFUSED_KEY_REMEDIES:
        kind = NotAllowed if code == "AccessDenied" else StoreError
        return kind(
            f"the S3 service refused the key ({code})",
            where=where,
            remedy=REFUSED_KEY_REMEDIES.get(code, CHECK_KEYS),
        )
    if status == 416:
        return DigestError(
            "the object ends before the range asked for",
            where=where,
            remedy="the object was cut short: douga store check --repair",
        )
    passing = status >= 500 or status == 429 or code in BUSY or code in PASSING
    return StoreError(
        f"the S3 service answered {code or status}",
        where=where,
        remedy="try again later" if passing else "see the service's log",
        retryable=passing,
    )


def corrupted_in_transit(url: str, name: str) -> DigestError:
    """The retryable error for bytes whose MD5 differs from the service's ETag."""
    return DigestError(
        "the bytes were changed in transit (the service's ETag is of other bytes)",
        where=f"{url}: {name}",
        remedy=CHECK_ENDPOINT,
        retryable=True,
    )


def check_answer(answer: dict[str, Any], *fields: str, where: str) -> dict[str, Any]:
    """A successful answer itself; StoreError where it lacks what every S3 service says."""
    if missing := [field for field in fields if field not in answer]:
        raise StoreError(
            f"what answers there is no S3 service (its answer has no {missing[0]})",
            where=where,
            remedy=f"is it a console's port, or a login page? {CHECK_ENDPOINT}",
        )
    return answer


def is_busy(error: BaseException | None) -> bool:
    """Whether the service refused because it gets too many requests."""
    return code_of(error) in BUSY


def asked_wait_s(error: BaseException | None) -> float:
    """Seconds that a service's `Retry-After` asks for; 0 without one."""
    if not isinstance(error, ClientError):
        return 0.0
    headers = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    return read_retry_after(str(headers.get("retry-after", "")))


def code_of(error: BaseException | None) -> str:
    """The code of a service's refusal, its status if it has none; "" for no answer."""
    if not isinstance(error, ClientError):
        return ""
    return str(error.response.get("Error", {}).get("Code", ""))
