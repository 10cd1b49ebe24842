"""The only reader of the environment: every default, each with its unit and what zero means."""

from __future__ import annotations

import getpass
import os
from functools import cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from cluster.errors import DougaError, UsageError, os_reason
from cluster.network import around_proxies
from cluster.secrets import is_secret, secret_files, secrets_in

LONGEST_S = 30 * 24 * 3600.0
"""The longest time limit: larger numbers, `inf` above all, break the clocks they are given to."""
MAX_WORKERS = 100_000
STORE_SECRETS = ("DOUGA_S3_", "AWS_", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
Seconds = Annotated[float, Field(gt=0, le=LONGEST_S)]


class Settings(BaseSettings):
    """Settings read from `DOUGA_*` variables; command-line options win over them."""

    model_config = SettingsConfigDict(env_prefix="DOUGA_", extra="ignore", frozen=True)

    home: Path = Field(
        default_factory=lambda: (
            Path(os.environ.get("XDG_STATE_HOME", "~/.local/state")).expanduser().joinpath("douga")
        ),
        description="folder for the default store, the probe cache and Prefect's database",
    )
    store: str = Field(
        default="", description="store URL, file:///path or s3://bucket/prefix; empty: home/store"
    )
    models: Path = Field(
        default_factory=lambda: (
            Path(os.environ.get("XDG_DATA_HOME", "~/.local/share")).expanduser() / "douga/models"
        ),
        description="folder for the networks that `douga models add` registers",
    )
    roots: str = Field(
        default="",
        description="folders, joined by :, that an episode's paths may not lead out of; empty: any",
    )
    farm: str = Field(
        default="",
        description="URL of a farm's own store, beside the episodes': renders on its cluster that "
        "name it share the workers by queue and weight; empty: each takes what it finds",
    )
    queue: Literal["urgent", "day", "night"] = Field(
        default="day", description="on a shared farm: urgent has what it wants first, day 4 x night"
    )
    weight: float = Field(
        default=1, gt=0, le=1000, description="this show's share beside others of its queue"
    )
    spot_notice: str = Field(
        default="",
        description="file that appears when this machine, tagged spot, is to be taken away; "
        "empty: AWS, Google and Azure are asked",
    )
    ray: str = Field(default="", description="Ray address; empty: start a local Ray for the run")
    ray_open: bool = Field(
        default=False, description="join a cluster without a token, listening where it does"
    )
    workers: int = Field(
        default=0, ge=0, le=MAX_WORKERS, description="stage actors; 0: one per device or core"
    )
    chunk: int = Field(default=24, ge=1, le=240, description="frames per chunk")
    tile: int = Field(default=0, ge=0, description="tile edge in pixels; 0: whole frames")
    device: str = Field(default="auto", pattern="^(auto|cpu|cuda)$", description="where nets run")
    cell: Literal["zstd", "jxl", "raw"] = Field(
        default="zstd", description="codec of stored frames"
    )
    ffmpeg: str = Field(default="", description="ffmpeg binary; empty: the imageio-ffmpeg wheel's")
    shot_retries: int = Field(default=1, ge=0, description="attempts after the first, per shot")
    shots_at_once: int = Field(
        default=0, ge=0, description="shots in flight; 0: 3 x the farm's workers, 4 at least"
    )
    actor_start_timeout_s: Seconds = Field(default=120, description="wait for stage actors")
    decode_memory_gib: float = Field(
        default=8, gt=0, le=1 << 20, description="memory of the process that first reads a source"
    )
    decode_timeout_s: float = Field(
        default=120,
        gt=0,
        le=LONGEST_S,
        description="that process's longest silence before it is stopped",
    )
    chunk_timeout_s: Seconds = Field(default=3600, description="one work item at the most")
    prefect: str = Field(
        default="auto",
        pattern="^(auto|embedded|off)$",
        description="auto: use PREFECT_API_URL, or start a server for a run that takes longer "
        "than a minute; embedded: or start one for every run; off: none",
    )
    prefect_host: str = Field(
        default="127.0.0.1", description="where a server started for the run listens"
    )
    server_start_timeout_s: Seconds = Field(default=90, description="wait for Prefect's server")

    gpu_hour_price: float = Field(
        default=0, ge=0, description="money for one hour of a busy GPU; 0: no price"
    )
    cpu_hour_price: float = Field(
        default=0, ge=0, description="money for one hour of a busy CPU core; 0: no price"
    )
    currency: str = Field(default="EUR", description="what the two prices are in")

    job: str = Field(
        default="", description="job key of a render or a nightly, made once for it; empty: none"
    )
    gc_grace_h: float = Field(
        default=96,
        ge=0,
        le=24 * 36500,
        description="hours for which douga gc leaves what is in a store; 0: what is needed only",
    )

    notify: str = Field(
        default="all",
        description="events to notify of: done, failed, waiting, joined by commas; all; off: none",
    )
    notify_timeout_s: float = Field(
        default=20,
        gt=0,
        le=LONGEST_S,
        description="time to notify all targets of an event, retries included",
    )
    notify_attempts: int = Field(default=4, ge=1, description="tries of one target at the most")
    webhook_url: SecretStr = Field(
        default=SecretStr(""),
        description="where to post events, several apart by spaces; empty: none",
    )
    webhook_url_file: Path | None = Field(
        default=None, description="file that holds webhook_url, one a line; webhook_url wins"
    )
    webhook_secret: SecretStr = Field(
        default=SecretStr(""), description="whsec_… that signs what is posted; empty: unsigned"
    )
    webhook_secret_file: Path | None = Field(
        default=None, description="file that holds the secret; webhook_secret wins"
    )
    smtp_host: str = Field(default="", description="mail server; empty: no mail is sent")
    smtp_port: int = Field(
        default=0, ge=0, le=65535, description="its port; 0: 587, with tls 465, with off 25"
    )
    smtp_tls: str = Field(
        default="", description="starttls, tls (from the first byte) or off; empty: starttls"
    )
    smtp_user: str = Field(default="", description="who logs in there; empty: nobody")
    smtp_password: SecretStr = Field(default=SecretStr(""), description="empty: smtp_password_file")
    smtp_password_file: Path | None = Field(
        default=None, description="file that holds the password; smtp_password wins"
    )
    mail_from: str = Field(default="", description="the sender's address; empty: smtp_user")
    mail_to: str = Field(default="", description="addresses, joined by commas; empty: no mail")

    desk_host: str = Field(default="127.0.0.1", description="where douga desk listens")
    desk_port: int = Field(default=8484, ge=0, le=65535, description="its port; 0: a free one")
    desk_proxies: str = Field(
        default="",
        description="addresses, joined by commas, whose user header douga desk believes; empty: no",
    )
    desk_user_header: str = Field(
        default="X-Forwarded-User", description="the header in which such a proxy names the person"
    )

    s3_endpoint: str = Field(default="", description="endpoint URL; empty: the AWS variables")
    s3_region: str = Field(
        default_factory=lambda: os.environ.get("AWS_REGION", ""),
        description="region; empty: boto3's own rules, then us-east-1",
    )
    s3_access_key: SecretStr = Field(default=SecretStr(""), description="empty: AWS variables")
    s3_secret_key: SecretStr = Field(default=SecretStr(""), description="empty: AWS variables")
    s3_access_key_file: Path | None = Field(
        default=None, description="file that holds the access key; s3_access_key wins"
    )
    s3_secret_key_file: Path | None = Field(
        default=None, description="file that holds the secret key; s3_secret_key wins"
    )
    s3_timeout_s: Seconds = Field(default=60, description="one request at the most")
    s3_attempts: int = Field(default=5, ge=1, description="tries of one request")

    @field_validator("smtp_port", mode="before")
    @classmethod
    def _default_where_empty(cls, given: object) -> object:
        """CI servers set a variable that has no value to the empty text."""
        return 0 if given == "" else given

    @field_validator("webhook_url_file", "webhook_secret_file", "smtp_password_file", mode="before")
    @classmethod
    def _none_where_empty(cls, given: object) -> object:
        return None if given == "" else given

    @field_validator("home", "models")
    @classmethod
    def _absolute(cls, folder: Path) -> Path:
        return folder.expanduser().absolute()

    @property
    def store_url(self) -> str:
        """The store to use when none is named."""
        return self.store or (self.home / "store").as_uri()


@cache
def settings() -> Settings:
    """The process's settings, read once. UsageError names the variable that is wrong."""
    try:
        return Settings()
    except RuntimeError as error:  # pathlib's, for a user without an entry in passwd
        raise UsageError(
            "this user has no home folder", where="HOME", remedy="set HOME, or DOUGA_HOME in full"
        ) from error
    except ValidationError as error:
        first = error.errors()[0]
        name = f"DOUGA_{'_'.join(str(part) for part in first['loc'])}".upper()
        raise UsageError(
            f"{first['msg'][0].lower()}{first['msg'][1:]}, got {str(first['input'])[:80]!r}",
            where=name,
            remedy="correct the variable, or unset it",
        ) from None


Foreign = Literal[
    "CUDA_VISIBLE_DEVICES",
    "DISPLAY",
    "DOUGA_DEBUG",
    "GITHUB_STEP_SUMMARY",
    "PREFECT_API_AUTH_STRING",
    "PREFECT_API_KEY",
    "PREFECT_API_URL",
    "PREFECT_SERVER_API_AUTH_STRING",
    "RAY_AUTH_MODE",
    "RAY_AUTH_TOKEN",
    "RAY_AUTH_TOKEN_PATH",
    "RAY_USE_TLS",
]
"""Variables of other programs that matter here, and DOUGA_DEBUG (not empty: tracebacks), which
must be known where the settings are wrong."""


def foreign(name: Foreign) -> str:
    """What such a variable says now, for they change while a command runs; empty: unset."""
    return os.environ.get(name, "")


def user_name() -> str:
    """Who runs this; the user's number where there is no name for it, as in a container."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"user {os.getuid()}"


def home_folder(name: str) -> Path:
    """A folder under douga's home, made if need be: for its owner only, as a home is that it makes.
    DougaError if it cannot be."""
    home = settings().home
    try:
        home.parent.mkdir(parents=True, exist_ok=True)
        home.mkdir(mode=0o700, exist_ok=True)
        (home / name).mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise DougaError(
            f"douga's home cannot be written ({os_reason(error)})",
            where=str(home),
            remedy="set DOUGA_HOME to a folder that can be",
        ) from error
    return home / name


def quiet_environment() -> dict[str, str]:
    """Variables that stop Prefect's and Ray's usage reports and chatter in a child process, and
    have it go to this machine itself without a proxy."""
    return {
        **around_proxies(os.environ),
        "DO_NOT_TRACK": "1",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    }


def child_environment(
    extra: dict[str, str] | None = None, *, secrets: tuple[str, ...] = ()
) -> dict[str, str]:
    """This process's environment, quiet, with `extra` on top: what a child is started with.

    Of its secrets only those whose names begin as `secrets` say: none by default.
    """
    kept = {
        name: value
        for name, value in os.environ.items()
        if not is_secret(name, value) or name.startswith(secrets)
    }
    return {**kept, **quiet_environment(), **(extra or {})}


def store_secrets() -> dict[str, str]:
    """The variables with secrets that whoever reads and writes the store needs."""
    return {
        name: value
        for name, value in os.environ.items()
        if is_secret(name, value) and name.upper().startswith(STORE_SECRETS)
    }


def known_secrets() -> set[str]:
    """What this process knows that nobody else is to: secrets of its environment, its settings and
    the files that these name."""
    chosen = settings()
    given = [getattr(chosen, name) for name in Settings.model_fields]
    found = {value for name, value in os.environ.items() if is_secret(name, value)}
    found |= {value.get_secret_value() for value in given if isinstance(value, SecretStr)}
    named = [getattr(chosen, name) for name in Settings.model_fields if name.endswith("_file")]
    for file in (*secret_files(os.environ), *filter(None, named)):
        found |= set(secrets_in(file.expanduser()))
    return found
