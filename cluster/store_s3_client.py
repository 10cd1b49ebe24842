"""The boto3 client of an S3 store: endpoint, keys, timeouts and repeats from the settings."""

from __future__ import annotations

from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import PartialCredentialsError

from cluster.settings import Settings

DEFAULT_REGION = "us-east-1"
CONNECTIONS = 32
CONNECT_TIMEOUT_S = 10.0


def make_client(using: Settings) -> Any:
    """A boto3 client from the settings; what they leave empty comes from the AWS variables."""
    key, secret = using.s3_access_key.get_secret_value(), using.s3_secret_key.get_secret_value()
    if bool(key) != bool(secret):
        raise PartialCredentialsError(
            provider="DOUGA_S3", cred_var="DOUGA_S3_SECRET_KEY" if key else "DOUGA_S3_ACCESS_KEY"
        )
    session = boto3.session.Session(
        aws_access_key_id=key or None, aws_secret_access_key=secret or None
    )
    return session.client(
        "s3",
        endpoint_url=using.s3_endpoint or None,
        region_name=using.s3_region or session.region_name or DEFAULT_REGION,
        config=Config(
            signature_version="s3v4",
            s3={"addressing_style": "path"},
            connect_timeout=min(CONNECT_TIMEOUT_S, using.s3_timeout_s),
            read_timeout=using.s3_timeout_s,
            retries={"mode": "standard", "total_max_attempts": using.s3_attempts},
            max_pool_connections=CONNECTIONS,
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
    )
