"""Run OpenStack Swift (proxy, account, container, object) on 127.0.0.1 until told to end.

Started by `swift.py` beside it with the Python of `.venv-swift`: `swift_processes.py FOLDER KEY
SECRET [memory]`. Prints `ready PORT` (the S3 port) once all four processes answer. The line
`crash` kills them, after which `again` starts them where they were and prints `ready PORT`. Any
other input, and the end of input, ends them: however its owner goes, no process is left behind.
"""

from __future__ import annotations

import ctypes
import errno
import os
import select
import shutil
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from swift.common import wsgi
from swift.common.ring import RingBuilder
from swift.common.utils import set_swift_dir

START_TIMEOUT_S = 60.0
KINDS = ("account", "container", "object")
REGION = "us-east-1"
CRASH, AGAIN = "crash\n", "again\n"
MEMORY = "memory"
"""Last argument: keep extended attributes in memory even where the file system has them."""
PR_SET_PDEATHSIG = 1
"""From linux/prctl.h: the signal a process gets when its parent dies."""


def main() -> int:
    folder, key, secret = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    ports = dict(zip(("proxy", *KINDS), free_ports(4), strict=True))
    write_configuration(folder, ports=ports, key=key, secret=secret)
    set_swift_dir(str(folder))
    write_rings(folder, ports)
    xattr_works = has_xattr(folder) and MEMORY not in sys.argv
    children = [start(folder, kind, xattr_works=xattr_works) for kind in ports]
    try:
        for port in ports.values():
            wait_for(port, children)
        print(f"ready {ports['proxy']}", flush=True)
        while (line := wait_for_line(children)) in (CRASH, AGAIN):
            if line == CRASH:
                # Extended attributes in memory would die with the process that keeps the data.
                spared = [] if xattr_works else children[-1:]
                for pid in children[: len(children) - len(spared)]:
                    end(pid)
                children[:] = spared
            else:
                kinds = list(ports)[: len(ports) - len(children)]
                children[:0] = [start(folder, kind, xattr_works=xattr_works) for kind in kinds]
                for port in ports.values():
                    wait_for(port, children)
            print(f"ready {ports['proxy']}", flush=True)
    finally:
        for pid in children:
            end(pid)
    shutil.rmtree(folder)  # not after a failed start: the logs say why
    return 0


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for item in sockets:
        item.bind(("127.0.0.1", 0))
    ports = [item.getsockname()[1] for item in sockets]
    for item in sockets:
        item.close()
    return ports


def write_configuration(folder: Path, *, ports: dict[str, int], key: str, secret: str) -> None:
    account, user = key.split(":")
    common = f"""
[DEFAULT]
bind_ip = 127.0.0.1
workers = 0
swift_dir = {folder}
devices = {folder / "devices"}
mount_check = false
disable_fallocate = true
log_level = ERROR
log_address = {folder / "no-syslog"}
"""
    (folder / "swift.conf").write_text(
        "[swift-hash]\nswift_hash_path_prefix = douga\nswift_hash_path_suffix = douga\n"
        "[storage-policy:0]\nname = one\ndefault = yes\n"
    )
    for kind in KINDS:
        (folder / f"{kind}.conf").write_text(
            f"{common}bind_port = {ports[kind]}\n"
            f"[pipeline:main]\npipeline = {kind}-server\n"
            f"[app:{kind}-server]\nuse = egg:swift#{kind}\nfallocate_reserve = 0\n"
        )
    # The order that s3api asks for: itself, then who is asking, then multipart (slo).
    (folder / "proxy.conf").write_text(
        f"{common}bind_port = {ports['proxy']}\n"
        "[pipeline:main]\n"
        "pipeline = catch_errors gatekeeper healthcheck s3api tempauth bulk slo proxy-server\n"
        "[app:proxy-server]\nuse = egg:swift#proxy\naccount_autocreate = true\n"
        "allow_account_management = true\n"
        + "".join(
            f"[filter:{name}]\nuse = egg:swift#{name}\n"
            for name in ("catch_errors", "gatekeeper", "healthcheck", "bulk", "slo")
        )
        + f"[filter:s3api]\nuse = egg:swift#s3api\nlocation = {REGION}\n"
        f"[filter:tempauth]\nuse = egg:swift#tempauth\nuser_{account}_{user} = {secret} .admin\n"
    )
    (folder / "devices" / "d1").mkdir(parents=True, exist_ok=True)


def write_rings(folder: Path, ports: dict[str, int]) -> None:
    for kind in KINDS:
        builder = RingBuilder(part_power=4, replicas=1, min_part_hours=1)
        builder.add_dev(
            {
                "id": 0,
                "region": 1,
                "zone": 1,
                "ip": "127.0.0.1",
                "port": ports[kind],
                "replication_ip": "127.0.0.1",
                "replication_port": ports[kind],
                "device": "d1",
                "weight": 1.0,
            }
        )
        builder.rebalance()
        builder.get_ring().save(str(folder / f"{kind}.ring.gz"))


def has_xattr(folder: Path) -> bool:
    probe = folder / "xattr-probe"
    probe.touch()
    try:
        os.setxattr(probe, "user.swift.metadata", b"x" * 1024)
    except OSError:
        return False
    return True


def start(folder: Path, kind: str, *, xattr_works: bool) -> int:
    """One server in a process of its own; its id."""
    pid = os.fork()
    if pid:
        return pid
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        log = os.open(folder / f"{kind}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(log, 1)
        os.dup2(log, 2)
        if kind == "object" and not xattr_works:
            keep_xattrs_in_memory()
        # Run as whoever started us: containers may lack a password entry for the user.
        wsgi.drop_privileges = lambda user: None
        sys.argv = [f"swift-{kind}-server", str(folder / f"{kind}.conf")]
        os._exit(server_main(kind)() or 0)
    finally:
        os._exit(1)


def server_main(kind: str) -> Callable[[], int]:
    if kind == "proxy":
        from swift.proxy.server import main as run
    elif kind == "account":
        from swift.account.server import main as run
    elif kind == "container":
        from swift.container.server import main as run
    else:
        from swift.obj.server import main as run
    return run


def keep_xattrs_in_memory() -> None:
    """Stand in for extended attributes where the file system has none.

    One object server, one process, one test run: a dict by inode is enough. The first piece that
    Swift writes of an object's metadata drops what an earlier file with this inode had.
    """
    import xattr
    from swift.obj.diskfile import METADATA_KEY

    first = METADATA_KEY.decode()
    kept: dict[tuple[int, int], dict[str, bytes]] = {}

    def inode(where: Any) -> tuple[int, int]:
        stat = os.stat(where.fileno() if hasattr(where, "fileno") else where)
        return stat.st_dev, stat.st_ino

    def plain(name: str | bytes) -> str:
        return name.decode() if isinstance(name, bytes) else name

    def setxattr(where: object, name: str | bytes, value: bytes) -> None:
        if plain(name) == first:
            kept[inode(where)] = {}
        kept.setdefault(inode(where), {})[plain(name)] = value

    def getxattr(where: object, name: str | bytes) -> bytes:
        try:
            return kept[inode(where)][plain(name)]
        except KeyError:
            raise OSError(errno.ENODATA, "no such attribute") from None

    xattr.setxattr, xattr.getxattr = setxattr, getxattr


def wait_for(port: int, children: list[int]) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while True:
        check_alive(children)
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if time.monotonic() > deadline:
                raise SystemExit(f"no answer on port {port} in {START_TIMEOUT_S:g} s") from None
            time.sleep(0.05)
        else:
            return


def wait_for_line(children: list[int]) -> str:
    while True:
        if select.select([sys.stdin], [], [], 1.0)[0]:
            return sys.stdin.readline()
        check_alive(children)


def check_alive(children: list[int]) -> None:
    for pid in children:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            children.remove(pid)
            raise SystemExit(f"process {pid} ended early with status {status}")


def end(pid: int) -> None:
    """Nothing of a test server's is worth a graceful farewell."""
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


if __name__ == "__main__":
    raise SystemExit(main())
