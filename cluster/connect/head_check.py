"""Asks a Ray head, before Ray is imported, for its version and whether it lets this process in.

Ray itself takes 20 to 60 s to give up on an address or a token, and does not say which was wrong.
"""

from __future__ import annotations

import os
import re
import socket
from importlib.metadata import version
from pathlib import Path

from cluster.errors import ClusterError, UsageError, os_reason
from cluster.settings import foreign

TIMEOUT_S = 5.0
RAY = "--ray"
PORT = re.compile("0*[1-9][0-9]{0,4}")
METHOD = "/ray.rpc.NodeInfoGcsService/CheckAlive"


def check_head(address: str, *, option: str = RAY) -> None:
    """Check that a Ray head answers at `host:port` and lets this process in; `option` named it.

    Sets RAY_AUTH_MODE as the head wants it (Ray refuses a token that the head does not want).
    UsageError if it is no address; ClusterError, with the remedy, if nothing answers, if it is not
    Ray or another version of it, or if the token is missing or wrong.
    """
    if address == "auto":
        return
    host, _, port = address.rpartition(":")
    if not host or set("/@") & set(host) or not _is_port(port):
        raise UsageError(
            f"expected host:port of a Ray head, got {address.rpartition('@')[2]!r}",
            where=option,
            remedy=f"ray start --head prints it{', or leave --ray away' * (option == RAY)}",
        )
    try:
        socket.create_connection((host.strip("[]"), int(port)), TIMEOUT_S).close()
    except OSError as error:
        raise no_cluster(address, os_reason(error), option=option) from error
    except UnicodeError as error:  # no host may be called so
        raise no_cluster(address, "not a host's name", option=option) from error
    if foreign("RAY_USE_TLS") in ("", "0"):
        _check_ray(address, option=option)


def _is_port(text: str) -> bool:
    return bool(PORT.fullmatch(text)) and int(text) < 65536


def no_cluster(address: str, why: str, *, option: str = RAY) -> ClusterError:
    """The error for an address where no Ray cluster can be joined."""
    return ClusterError(
        f"no Ray cluster answers at {address} ({why})",
        remedy="check the address, or leave --ray away to render on this machine"
        if option == RAY
        else "check the address, and that ray start --head runs there",
    )


def _check_ray(address: str, *, option: str) -> None:
    import grpc

    answer = _ask(address, token="")
    wants_token = answer == grpc.StatusCode.UNAUTHENTICATED
    if wants_token:
        token = _token()
        answer = _ask(address, token=token) if token else answer
        if answer == grpc.StatusCode.UNAUTHENTICATED:
            raise ClusterError(
                f"the Ray cluster at {address} {'refused the token' if token else 'wants a token'}",
                remedy="copy the head's ~/.ray/auth_token here, or name it in RAY_AUTH_TOKEN_PATH",
            )
    found = re.search(rb"\d+\.\d+\.\d+[\w.]*", answer) if isinstance(answer, bytes) else None
    if found is None:
        raise no_cluster(address, "what listens there is no Ray head", option=option)
    if (theirs := found[0].decode()) != (ours := version("ray")):
        raise ClusterError(
            f"the cluster at {address} runs Ray {theirs}, this is {ours}",
            remedy="install douga on every node with the same constraints.txt",
        )
    os.environ["RAY_AUTH_MODE"] = "token" if wants_token else "disabled"


def _ask(address: str, *, token: str) -> object:
    """The head's answer in bytes, or gRPC's status code."""
    import grpc

    with grpc.insecure_channel(address, options=[("grpc.enable_http_proxy", 0)]) as channel:
        call = channel.unary_unary(METHOD)
        metadata = [("authorization", f"Bearer {token}")] if token else None
        try:
            return call(b"", timeout=TIMEOUT_S, metadata=metadata)
        except grpc.RpcError as error:
            return error.code()


def _token() -> str:
    """This user's Ray token, searched where Ray searches it; empty if there is none."""
    if token := foreign("RAY_AUTH_TOKEN"):
        return token.strip()
    named = foreign("RAY_AUTH_TOKEN_PATH")
    path = Path(named) if named else Path.home() / ".ray" / "auth_token"
    try:
        return path.read_text().strip()
    except OSError:
        return ""
