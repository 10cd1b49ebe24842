"""What a command took, with all it started: children, daemons, workers that nobody waits for."""

import json
import subprocess
import sys

import pytest

from tasks.benchmarks.process_tree import Sample, later, uncounted
from tests.conftest import ROOT

WORK_S = 0.6
WORK = f"""
import time
while time.process_time() < {WORK_S}: pass
"""
CHILD = f"""
import subprocess, sys
subprocess.run([sys.executable, '-c', {WORK!r}])
print('done')
"""
DAEMON = f"""
import subprocess, sys
subprocess.Popen([sys.executable, '-c', {WORK!r}], start_new_session=True)
"""
HOLD = """
import subprocess, sys
subprocess.run([sys.executable, '-c', "import time; held = b'1' * (64 << 20); time.sleep(1.5)"])
open('/dev/null', 'wb').write(bytes(1 << 20))
"""
IGNORED = f"""
import signal, subprocess, sys, time
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
children = [subprocess.Popen([sys.executable, '-c', {WORK!r}]) for _ in range(2)]
for child in children: child.wait()
"""


@pytest.mark.parametrize(("program", "workers"), [(WORK, 1), (CHILD, 1), (DAEMON, 1), (IGNORED, 2)])
def test_all_that_a_command_started_is_counted_once(program: str, workers: int) -> None:
    took = measured(program)
    assert took["code"] == 0, took["stderr"]
    assert workers * WORK_S - 0.3 <= took["cpu_s"] <= workers * WORK_S + 0.5


def test_memory_and_bytes_are_of_all_processes() -> None:
    took = measured(HOLD)
    assert 64 << 20 < took["peak_bytes"] < 128 << 20
    assert 1 << 20 < took["moved_bytes"] < 16 << 20


def test_exit_code_and_words_are_the_command_s_own() -> None:
    assert measured(CHILD)["stdout"] == "done\n"
    failed = measured("import sys; print('no', file=sys.stderr); sys.exit(3)")
    assert (failed["code"], failed["stderr"]) == (3, "no\n")


def test_only_children_of_those_who_ignore_their_end_are_in_no_account() -> None:
    samples = {
        2: Sample(parent=1, cpu_s=5.0, moved_bytes=50),
        3: Sample(parent=2, cpu_s=2.0, moved_bytes=20, ignores_children=True),
        4: Sample(parent=3, cpu_s=1.0, moved_bytes=10),
        5: Sample(parent=3, cpu_s=1.5, moved_bytes=15),
    }
    assert uncounted(samples) == (2.5, 25)


def test_a_process_that_has_ended_keeps_what_it_said_alive() -> None:
    alive = Sample(parent=1, cpu_s=2.0, moved_bytes=20, ignores_children=True)
    zombie = Sample(parent=1, cpu_s=2.1)
    assert later(alive, zombie) == Sample(
        parent=1, cpu_s=2.1, moved_bytes=20, ignores_children=True
    )
    assert later(None, zombie) == zombie


def measured(program: str) -> dict:
    done = subprocess.run(
        [sys.executable, "-m", "tasks.benchmarks.process_tree", sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    return json.loads(done.stdout)
