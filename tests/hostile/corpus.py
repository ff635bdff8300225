"""Every hostile file, made anew each time and always the same.

python -m tests.hostile.corpus FOLDER      writes them, to be looked at with other programs
"""

from __future__ import annotations

import re
import sys
from functools import lru_cache
from pathlib import Path

from tests.hostile import bombs, disguises, oddities, truncated
from tests.hostile.samples import Sample


@lru_cache(maxsize=1)
def corpus() -> tuple[Sample, ...]:
    """All samples; no two have the same name."""
    return tuple(sample for module in (truncated, bombs, disguises, oddities) for sample in module.samples())


def main() -> None:
    """Write them to the folder that is named on the command line."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for sample in corpus():
        name = re.sub(r"\W+", "-", f"{sample.expected} {sample.kind} {sample.name}")
        (folder / name).write_bytes(sample.data)
    print(f"{len(corpus())} files in {folder}")


if __name__ == "__main__":
    main()
