"""Makes the boto3 client of an S3 store: endpoint, keys and timeouts from the settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import PartialCredentialsError
from pydantic import SecretStr

from cluster.errors import UsageError
from cluster.secrets import has_password, read_secret
from cluster.settings import Settings

DEFAULT_REGION = "us-east-1"
CONNECTIONS = 32
CONNECT_TIMEOUT_S = 10.0


def make_client(using: Settings) -> Any:
    """A boto3 client from the settings; the AWS variables fill what they leave empty.

    UsageError for an endpoint with a password in it: messages and tracebacks show addresses.
    """
    key = _key(using.s3_access_key, using.s3_access_key_file, "DOUGA_S3_ACCESS_KEY_FILE")
    secret = _key(using.s3_secret_key, using.s3_secret_key_file, "DOUGA_S3_SECRET_KEY_FILE")
    if bool(key) != bool(secret):
        raise PartialCredentialsError(
            provider="DOUGA_S3", cred_var="DOUGA_S3_SECRET_KEY" if key else "DOUGA_S3_ACCESS_KEY"
        )
    session = boto3.session.Session(
        aws_access_key_id=key or None, aws_secret_access_key=secret or None
    )
    client = session.client(
        "s3",
        endpoint_url=using.s3_endpoint or None,
        region_name=using.s3_region or session.region_name or DEFAULT_REGION,
        config=Config(
            signature_version="s3v4",
            s3={"addressing_style": "path"},
            connect_timeout=min(CONNECT_TIMEOUT_S, using.s3_timeout_s),
            read_timeout=using.s3_timeout_s,
            retries={"mode": "standard", "total_max_attempts": 1},  # see s3_retries
            max_pool_connections=CONNECTIONS,
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
    )
    if has_password(client.meta.endpoint_url):
        raise UsageError(
            "the S3 endpoint has a user or a password in it",
            remedy="give them as DOUGA_S3_ACCESS_KEY and DOUGA_S3_SECRET_KEY",
        )
    return client


def _key(given: SecretStr, file: Path | None, setting: str) -> str:
    if given.get_secret_value() or file is None:
        return given.get_secret_value()
    return read_secret(file, setting=setting)
