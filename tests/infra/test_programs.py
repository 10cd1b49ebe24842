"""Which programs the source starts, and that it executes nothing that it reads: held to a list."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted(
    path for room in ("flows", "tasks", "cluster") for path in (ROOT / room).rglob("*.py")
)

STARTS = {
    "tasks/encode/ffmpeg.py": "ffmpeg: the one that is named, or the wheel's",
    "tasks/analysis/sandbox/run.py": "this Python: the process that looks at unknown files",
    "flows/prefect/embedded.py": "this Python: Prefect's server",
    "cluster/connect/watch.py": "this Python: the watchdog of a run, which starts its Ray",
    "cluster/node/ray_node.py": "this Python: Ray's command, for a node",
    "cluster/node/machine.py": "nvidia-smi, found on PATH, asked for the GPUs' names",
    "cluster/node/idle.py": "loginctl and xprintidle, asked whether the owner is there",
    "cluster/node/serve.py": "what --sleep-command says, typed by whoever lends the machine",
    "flows/commands/bench_speed.py": "this Python: renders, and the peers to compare",
    "tasks/benchmarks/process_tree.py": "the command that `douga bench` measures",
    "flows/desk/go_on.py": "this Python: the render on record, after its last approval",
    "flows/commands/self_test/proofs.py": "this Python: the command, rendering a tiny film",
    "flows/commands/doctor.py": "nvidia-smi, found on PATH, asked for the GPUs' names",
}
"""Every file that may start a program, and which."""

FORBIDDEN = {
    **dict.fromkeys(("eval", "exec", "compile", "__import__"), "runs text as a program"),
    **dict.fromkeys(
        ("os.system", "os.popen", "os.startfile", "subprocess.getoutput",
         "subprocess.getstatusoutput", "asyncio.create_subprocess_shell"),
        "uses a shell",
    ),
    **dict.fromkeys(
        ("pickle.load", "pickle.loads", "pickle.Unpickler", "cloudpickle.load", "cloudpickle.loads",
         "marshal.load", "marshal.loads", "shelve.open", "joblib.load", "dill.load", "dill.loads",
         "pandas.read_pickle", "runpy.run_path", "runpy.run_module"),
        "executes what it reads",
    ),
    **dict.fromkeys(
        ("yaml.load", "yaml.load_all", "yaml.full_load", "yaml.unsafe_load", "yaml.FullLoader",
         "yaml.UnsafeLoader", "yaml.Loader"),
        "makes objects of YAML tags: use yaml.safe_load",
    ),
    **dict.fromkeys(
        ("tarfile.open", "shutil.unpack_archive"), "unpacks where the archive says",
    ),
    "tempfile.mktemp": "names a file that another may make first",
}  # fmt: skip
STARTERS = ("subprocess.", "os.exec", "os.spawn", "os.posix_spawn", "os.fork", "multiprocessing.")
HARMLESS = {
    "subprocess.PIPE", "subprocess.DEVNULL", "subprocess.STDOUT", "subprocess.TimeoutExpired",
    "subprocess.CalledProcessError", "subprocess.SubprocessError",
}  # fmt: skip
LOADS_BY_NAME = {
    "cluster/pool/actor.py": "a handler of ours, named by the driver",
    "tasks/models/shelf.py": "the network of a model card of ours, from tasks.models alone",
    "tasks/stages/registry.py": "a stage of the one table",
}
"""Files that may import a module by a name that they compute."""


def names(tree: ast.AST) -> Iterator[tuple[ast.AST, str]]:
    """Every name that is used, in full and as it was imported."""
    imported: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                imported[alias.asname or alias.name.partition(".")[0]] = alias.name
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                imported[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            yield node, imported.get(node.id, node.id)
        elif isinstance(node, ast.Attribute):
            parts = [node.attr]
            inner: ast.expr = node.value
            while isinstance(inner, ast.Attribute):
                parts.append(inner.attr)
                inner = inner.value
            if isinstance(inner, ast.Name):
                yield node, ".".join([imported.get(inner.id, inner.id), *reversed(parts)])


def wrong(source: str, file: str) -> list[str]:
    """What a source does that is not on the list."""
    tree = ast.parse(source)
    found = []
    for node, name in names(tree):
        line = getattr(node, "lineno", 0)
        if name in FORBIDDEN:
            found.append(f"{file}:{line}: {name} {FORBIDDEN[name]}")
        if name.startswith(STARTERS) and name not in HARMLESS and file not in STARTS:
            found.append(f"{file}:{line}: {name}: a program that is not on the list")
        if name in ("importlib.import_module", "import_module") and file not in LOADS_BY_NAME:
            found.append(f"{file}:{line}: imports a module by a computed name")
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        given = {keyword.arg: keyword.value for keyword in node.keywords}
        shell = given.get("shell")
        if shell is not None and not (isinstance(shell, ast.Constant) and shell.value is False):
            found.append(f"{file}:{node.lineno}: a shell")
        called = ast.unparse(node.func)
        only = given.get("weights_only")
        if called == "torch.load" and not (isinstance(only, ast.Constant) and only.value is True):
            found.append(f"{file}:{node.lineno}: torch.load without weights_only=True")
        picked = given.get("allow_pickle")
        if isinstance(picked, ast.Constant) and picked.value:
            found.append(f"{file}:{node.lineno}: numpy pickles")
    return found


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_starts_and_executes_nothing_that_is_not_on_the_list(path: Path) -> None:
    assert not wrong(path.read_text(), str(path.relative_to(ROOT)))


@pytest.mark.parametrize(
    "source",
    [
        "eval('1')",
        "import os\nos.system('ls')",
        "from os import system as s\ns('ls')",
        "import subprocess as sp\nsp.run(['ls'])",
        "from subprocess import Popen\nPopen(['ls'])",
        "import pickle\npickle.loads(b'')",
        "from pickle import load\nload(f)",
        "import yaml\nyaml.load(text, Loader=yaml.SafeLoader)",
        "import yaml\nyaml.load(text, yaml.Loader)",
        "import torch\ntorch.load(path)",
        "import torch\ntorch.load(path, weights_only=False)",
        "import numpy as np\nnp.load(path, allow_pickle=True)",
        "run(['ls'], shell=True)",
        "run(['ls'], shell=flag)",
        "import tarfile\ntarfile.open(path)",
        "from importlib import import_module\nimport_module(name)",
        "import os\nos.execvp('ls', ['ls'])",
    ],
)
def test_the_rule_bites(source: str) -> None:
    assert wrong(source, "tasks/other.py")


def test_a_shell_is_found_in_listed_files_too() -> None:
    assert wrong("import subprocess\nsubprocess.run('ls', shell=True)", "tasks/encode/ffmpeg.py")


def test_the_list_names_what_there_is() -> None:
    for file in (*STARTS, *LOADS_BY_NAME):
        assert any(
            name.startswith((*STARTERS, "importlib.import_module"))
            for _, name in names(ast.parse((ROOT / file).read_text()))
        ), f"{file} is on a list for nothing"
