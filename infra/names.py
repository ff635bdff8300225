"""Names that others have chosen, in the places that give some letters a meaning: terminals, logs, folders.

A photo may be called ``\\x1b]0;…\\x07.png``, which retitles a terminal, end in a line that looks like one
of the log's own, or turn the reading direction of whatever follows it. It may also be called ``...png``, whose
stem is the folder above. Such letters are shown as what they are, and never obeyed.

References: ECMA-48, "Control functions"; Unicode Standard Annex #9, "Bidirectional algorithm", section 2.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

#: C0 and C1 controls, line and paragraph separators, marks of direction, the byte order mark, lone surrogates
_OBEYED = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")


def visible(text: str, *, keep: str = "") -> str:
    """The text, with whatever a terminal would obey or a page not show written out: ``\\x1b``, ``\\u202e``.

    ``keep`` holds the letters that are wanted, such as the ends of lines in a traceback.
    """
    return _OBEYED.sub(
        lambda found: found[0] if found[0] in keep else found[0].encode("unicode_escape").decode(), text
    )


def folders(photos: Iterable[Path], out: Path) -> list[tuple[Path, Path]]:
    """Each photo with a folder of its own right under ``out``; of the same name they get ``-2``, ``-3`` …"""
    taken: set[str] = set()
    pairs = []
    for photo in photos:
        plain = _OBEYED.sub("_", photo.stem)
        first = name = plain if plain.strip(". ") else "photo"
        count = 1
        while name in taken:
            count += 1
            name = f"{first}-{count}"
        taken.add(name)
        pairs.append((photo, out / name))
    return pairs
