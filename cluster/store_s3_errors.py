"""What botocore's errors mean to a person: one line, where, and the next step; never a secret."""

from __future__ import annotations

from boto3.exceptions import Boto3Error
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,
    CredentialRetrievalError,
    HTTPClientError,
    IncompleteReadError,
    NoCredentialsError,
    PartialCredentialsError,
)

from cluster.errors import DigestError, StoreError
from cluster.store import NotStored

CHECK_KEYS = (
    "check DOUGA_S3_ACCESS_KEY and DOUGA_S3_SECRET_KEY "
    "(or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY)"
)
CHECK_ENDPOINT = "check DOUGA_S3_ENDPOINT (or AWS_ENDPOINT_URL) and the network"
REFUSED_KEY = {
    "403",
    "401",
    "AccessDenied",
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
    "InvalidToken",
    "ExpiredToken",
    "Unauthorized",
}
NOT_STORED = {"404", "NoSuchKey", "NotFound"}
ALREADY_THERE = {"412", "PreconditionFailed", "ConditionalRequestConflict"}
SKEWED_CLOCK = {"RequestTimeTooSkewed", "RequestExpired"}


class AlreadyThere(StoreError):
    """A put that asked for an absent object found one, perhaps its own from a try before."""


def explain(error: Exception, *, where: str, bucket: str) -> StoreError:
    """The StoreError for what botocore or boto3 raised; `retryable` as the cause is."""
    if isinstance(error, Boto3Error) and isinstance(error.__context__, ClientError | BotoCoreError):
        error = error.__context__
    if isinstance(error, ClientError):
        return _explain_answer(error, where=where, bucket=bucket)
    if isinstance(error, NoCredentialsError | PartialCredentialsError | CredentialRetrievalError):
        return StoreError("no complete pair of S3 keys was given", where=where, remedy=CHECK_KEYS)
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
    code = str(error.response.get("Error", {}).get("Code", ""))
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
    if code in REFUSED_KEY:
        return StoreError(
            f"the S3 service refused the key ({code})", where=where, remedy=CHECK_KEYS
        )
    if status == 416:
        return DigestError(
            "the object ends before the range asked for",
            where=where,
            remedy="the object was cut short: delete it and run again",
        )
    return StoreError(
        f"the S3 service answered {code or status}",
        where=where,
        remedy="try again later" if status >= 500 else "see the service's log",
        retryable=status >= 500 or status == 429,
    )
