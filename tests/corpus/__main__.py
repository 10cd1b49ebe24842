"""`python -m tests.corpus FOLDER`: lay every case's files down under its name, to be looked at."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from tests.corpus.documents import documents
from tests.corpus.harmed import cuts, harmed
from tests.corpus.strange import strange


def main() -> None:
    """A folder for each case, and the words to type in it."""
    root = Path(sys.argv[1])
    goods = root / "good films"
    goods.mkdir(parents=True)
    for number, case in enumerate((*strange(), *documents(), *cuts(), *harmed(range(6)))):
        plain = re.sub(r"[^\w. -]", "_", case.name)[:80]
        folder = root / f"{number:03d} {plain}"
        folder.mkdir()
        case.write(folder, goods)
        print(folder, *map(repr, case.words), sep="\t")


main()
