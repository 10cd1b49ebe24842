"""What every command prints where, what it imports for it, and how Ctrl-C ends a render."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import av
import pytest

from flows.progress import Silent
from flows.render import render
from flows.spec.request import make_request
from tests.servers.ray_nodes import RayNodes

ROOT = Path(__file__).parents[2]
REPORT_IMPORTS = """
import atexit, sys
heavy = {}
atexit.register(lambda: print(sorted(heavy & set(sys.modules)), file=sys.stderr))
sys.argv = {}
from flows.cli import main
main()
"""


@pytest.mark.parametrize(
    ("words", "heavy"),
    [
        (["--help"], "torch ray prefect pydantic numpy av cv2 boto3 pyarrow yaml"),
        (["render", "--help"], "torch ray prefect numpy av cv2 boto3 pyarrow yaml"),
        (["plan", "{film}", "--store", "{store}"], "torch ray prefect boto3"),
        (["status", "--store", "{store}"], "torch ray prefect boto3"),
    ],
)
def test_light_commands_import_nothing_heavy(
    words: list[str], heavy: str, tiny_film: Path, tiny_render: Any
) -> None:
    typed = [word.format(film=tiny_film, store=tiny_render.store) for word in words]
    program = REPORT_IMPORTS.format(set(heavy.split()), ["douga", *typed])
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout
    assert done.stderr.splitlines()[-1] == "[]"


def document(ended: Any, code: int = 0) -> Any:
    """The one JSON document on stdout, everything else being on stderr and ours."""
    assert ended.code == code, ended.err
    assert all(line.startswith("douga: ") for line in ended.err.splitlines()), ended.err
    return ended.document


def test_render_says_what_it_promises(tiny_render: Any) -> None:
    made = document(tiny_render.ended)
    assert made["film"] == str(tiny_render.film)
    assert (made["episode"], made["store"]) == ("tiny", tiny_render.store)
    assert made["run"]
    assert [shot["id"] for shot in made["shots"]] == ["sh010", "sh020"]
    assert [shot["state"] for shot in made["shots"]] == ["rendered"] * 2
    assert (made["frames_in"], made["frames_out"]) == (48, 48)
    assert (made["chunks_computed"], made["chunks_reused"]) == (2, 0)
    assert made["verified"] is True
    assert made["wall_s"] >= made["render_s"] > 0
    assert made["compute_s"] > 0


def test_plan_makes_torn_caches_again(
    tiny_film: Path, tiny_render: Any, douga: Any, tmp_path: Path
) -> None:
    """Caches of every kind: digests, indices, analyses, what runs took, what was tried."""
    episode, cache = tmp_path / "ep.yaml", tmp_path / "home" / "cache"
    episode.write_text(
        f"source: {tiny_film}\nname: ep\nstore: {tiny_render.store}\n"
        "recipe: [{interpolate: {factor: 2, engine: average}}]\n"
    )
    remembered = cache / "forecast" / "command.json"
    remembered.parent.mkdir(parents=True)
    remembered.write_text("[1.5, 2.5]")

    def plan() -> Any:
        planned = document(douga("plan", episode, "--json", DOUGA_HOME=str(tmp_path / "home")))
        return [planned[name] for name in ("shots", "chunks", "to_compute")]

    first = plan()
    files = {file: file.read_bytes() for file in cache.rglob("*") if file.is_file()}
    kinds = {file.relative_to(cache).parts[0] for file in files}
    assert kinds == {"analysis", "calibration", "digests", "forecast", "indices"}
    assert any("past" in file.parts for file in files)
    for tear in (lambda data: data[: len(data) // 2], lambda data: b"{}"):
        for file, data in files.items():
            file.write_bytes(tear(data))
        assert plan() == first
        assert {file for file in cache.rglob("*") if file.is_file()} == set(files)
        for file in set(files) - {remembered}:
            assert len(file.read_bytes()) > len(files[file]) * 0.9, file


def test_plan_gives_a_reason_for_each(tiny_film: Path, tiny_render: Any, douga: Any) -> None:
    stored = document(douga("plan", tiny_film, "--store", tiny_render.store, "--json"))
    assert (stored["chunks"], stored["cached"], stored["to_compute"]) == (2, 2, 0)
    assert [shot["reason"] for shot in stored["shots"]] == ["stored", "stored"]
    more = ("--stage", "upscale:scale=4", "--json")
    other = document(douga("plan", tiny_film, "--store", tiny_render.store, *more))
    assert (other["chunks"], other["cached"], other["to_compute"]) == (2, 0, 2)
    assert [shot["reason"] for shot in other["shots"]] == ["changed", "changed"]
    assert [(s["id"], s["start"], s["end"], s["to_compute"]) for s in other["shots"]] == [
        ("sh010", 0, 24, 1),
        ("sh020", 24, 48, 1),
    ]
    assert other["size"] == [256, 192]


def test_status_knows_runs_and_shots(tiny_film: Path, tiny_render: Any, douga: Any) -> None:
    run = tiny_render.ended.document["run"]
    runs = document(douga("status", "--store", tiny_render.store, "--json"))["runs"]
    assert runs[-1]["run"] == run
    assert {entry["state"] for entry in runs} == {"done"}
    shots = document(douga("status", tiny_film, "--store", tiny_render.store, "--json"))["shots"]
    assert [(s["id"], s["state"], s["last_run"]) for s in shots] == [
        ("sh010", "stored", run),
        ("sh020", "stored", run),
    ]


def test_verify_tells_a_good_film_from_another(
    tiny_film: Path, tiny_render: Any, douga: Any, tmp_path: Path
) -> None:
    words = ("verify", tiny_film, "--store", tiny_render.store, "--json", "-o")
    good = document(douga(*words, tiny_render.film))
    assert (good["good"], good["frames"], good["findings"]) == (True, 48, [])
    other = tmp_path / "other.mkv"
    shutil.copy(tiny_film, other)
    wanting = document(douga(*words, other), code=2)
    assert wanting["good"] is False
    assert {"what", "where", "expected", "got"} <= set(wanting["findings"][0])


@pytest.mark.parametrize("command", ["doctor", "models"])
def test_tools_print_one_document(command: str, douga: Any) -> None:
    found = document(douga(command, "--json"))
    if command == "doctor":
        assert found["healthy"] is True
        assert {"what", "found", "state", "remedy"} == set(found["checks"][0])
    else:
        assert {"inbetween", "upscale2x"} <= {model["name"] for model in found["models"]}


def test_tables_go_to_stdout_and_fit(tiny_film: Path, tiny_render: Any, douga: Any) -> None:
    for words in (("plan", tiny_film), ("status",), ("status", tiny_film), ("review", tiny_film)):
        ended = douga(*words, "--store", tiny_render.store)
        assert ended.code == 0
        assert max(len(line) for line in ended.out.splitlines()) <= 100
        assert "\x1b" not in ended.out + ended.err


def test_only_the_shots_and_frames_asked_for_are_made(
    tiny_film: Path, local_ray: None, tmp_path: Path
) -> None:
    film = tmp_path / "film.mkv"

    def run(**more: Any) -> Any:
        request = make_request(
            str(tiny_film), output=str(film), store=str(tmp_path / "store"), chunk=4, **more
        )
        return render(request, Silent())

    frames = run(frames="sh020:3,9-10")
    assert [shot.computed for shot in frames.shots] == [0, 2], "frame 3, and frames 9 and 10"
    assert frames.film is None
    again = run(frames="sh020:3,10")
    assert again.chunks_computed == 0
    one = run(shots="sh020")
    assert [shot.computed for shot in one.shots] == [0, 6]
    assert [shot.frames_reused for shot in one.shots] == [0, 3], "what was made apart"
    assert [shot.state for shot in one.shots] == ["not asked for", "rendered"]
    assert not film.exists()
    rest = run()
    assert [shot.computed for shot in rest.shots] == [6, 0]
    assert rest.verified
    assert film.exists()


def test_ctrl_c_leaves_nothing_but_what_was_finished(
    tiny_film: Path,
    tiny_render: Any,
    douga: Any,
    ray_cluster: RayNodes,
    prefect_home: Path,
    tmp_path: Path,
) -> None:
    """The run had a Ray and a Prefect server of its own; the second joins a cluster."""
    temporary = Path(tempfile.mkdtemp(prefix="d", dir="/tmp"))  # short: Ray's sockets lie in it
    more = {
        "DOUGA_HOME": str(prefect_home),
        "DOUGA_PREFECT": "embedded",
        "TMPDIR": str(temporary),
    }
    film, store = tmp_path / "out" / "film.mkv", tmp_path / "store"
    film.parent.mkdir()
    words = ("render", tiny_film, "-o", film, "--store", store, "--chunk", "1", "--json")
    process = douga.start(*words, **more)
    while process.poll() is None and not any(store.glob("frames/*/*.arrow")):
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    lines = err.splitlines()
    assert process.returncode == 130, err
    assert lines[-1] == "douga: stopped; what was finished is kept, run the same again"
    assert all(line.startswith("douga: ") for line in lines), err
    assert out == ""
    assert list(film.parent.iterdir()) == []
    assert left_over(str(prefect_home)) == []
    temporary.rmdir()  # which it would not, were anything in it
    with sqlite3.connect(prefect_home / "prefect" / "prefect.db") as database:
        states = database.execute("select state_type from flow_run where name = 'tiny'")
        told = {state for (state,) in states.fetchall()}
        assert told <= {"CRASHED"}, "nothing, where Prefect's server was not up yet"

    kept = len(list(store.glob("frames/*/*.arrow")))
    assert 0 < kept <= 48, "so small chunks may all be made before the signal is heard"
    resumed = document(douga(*words, **ray_cluster.environment()))
    assert (resumed["chunks_reused"], resumed["chunks_computed"]) == (kept, 48 - kept)
    assert packets(film) == packets(tiny_render.film)
    assert list(film.parent.iterdir()) == [film]


def left_over(home: str) -> list[str]:
    """Processes that live in a home: every child inherits the variable that names it."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if f"DOUGA_HOME={home}".encode() in (entry / "environ").read_bytes().split(b"\0"):
                found.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue  # ended, or another user's
    return found


def packets(film: Path) -> list[tuple[int, int | None, int | None, bytes]]:
    """Every packet of a film: of which stream, when, what."""
    with av.open(str(film)) as file:
        return [(p.stream_index, p.pts, p.dts, bytes(p)) for p in file.demux() if p.size]
