"""Prefect's API as it is asked without Prefect: which is meant, is it up, does it let us in."""

from __future__ import annotations

import base64
import http.client
import urllib.error
import urllib.request
from dataclasses import dataclass

from cluster.errors import ClusterError
from cluster.secrets import without_password
from cluster.settings import foreign


@dataclass(frozen=True, slots=True)
class PrefectApi:
    """Where Prefect's API is; `lasting`: it goes on when the run is over."""

    url: str
    lasting: bool


def configured_api(*, may_be_busy: bool = False) -> str:
    """The API that PREFECT_API_URL names, empty if it names none. ClusterError if it is silent, or
    wants a password that this process does not have; one that `may_be_busy` is slow or restarting,
    and whoever only shows something there goes on without it."""
    url = foreign("PREFECT_API_URL")
    shown = without_password(url)
    if shown != url:
        raise ClusterError(
            f"PREFECT_API_URL has a user or a password in it (of {shown})",
            remedy="give them as PREFECT_API_AUTH_STRING=user:password",
        )
    if url and not (_is_there(url) if may_be_busy else is_up(url)):
        raise ClusterError(
            f"no Prefect server answers at {url}",
            remedy="start it, or unset PREFECT_API_URL to let douga start one for the run",
        )
    password = foreign("PREFECT_API_AUTH_STRING")
    if url and not _accepts(url, password):
        raise ClusterError(
            f"the Prefect server at {url} "
            + ("refused the password" if password else "wants a password"),
            remedy="set PREFECT_API_AUTH_STRING to the server's PREFECT_SERVER_API_AUTH_STRING",
        )
    return url


def _is_there(url: str) -> bool:
    """Whether something answers at this URL, in whatever way and however late."""
    try:
        urllib.request.urlopen(f"{url}/health", timeout=5).close()
    except (urllib.error.HTTPError, TimeoutError, http.client.HTTPException):
        return True
    except (OSError, ValueError) as error:
        return isinstance(getattr(error, "reason", None), TimeoutError)
    return True


def is_up(url: str) -> bool:
    """Whether a Prefect API is up at this URL."""
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=5) as answer:
            return bool(answer.status == 200)
    except (OSError, http.client.HTTPException, ValueError):
        return False


def _accepts(url: str, password: str) -> bool:
    """Whether an API answers to a password; other troubles than that are left to Prefect."""
    request = urllib.request.Request(f"{url}/admin/version")
    if password:
        told = base64.b64encode(password.encode()).decode()
        request.add_header("Authorization", f"Basic {told}")
    elif key := foreign("PREFECT_API_KEY"):
        request.add_header("Authorization", f"Bearer {key}")
    try:
        urllib.request.urlopen(request, timeout=5).close()
    except urllib.error.HTTPError as error:
        return error.code not in (401, 403)
    except (OSError, http.client.HTTPException, ValueError):
        return True
    return True
