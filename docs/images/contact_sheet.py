"""The README's picture: photos on the left, their models from several sides beside them.

python docs/images/contact_sheet.py OUT.jpg PHOTO=FOLDER…     FOLDER is what `maquette run PHOTO` made
"""

from __future__ import annotations

import sys
from pathlib import Path

from PIL import Image

CELL = 270
AZIMUTHS = (0, 36, 84, 180, 300)  # degrees of the orbit


def row(photo: Path, folder: Path) -> Image.Image:
    """The photo and some of the orbit's pictures, side by side."""
    views = sorted(folder.glob("render_*.png"))
    shown = [photo, *(views[round(azimuth / 360 * len(views))] for azimuth in AZIMUTHS)]
    strip = Image.new("RGB", (CELL * len(shown), CELL), "white")
    for index, path in enumerate(shown):
        cell = Image.open(path).convert("RGB").resize((CELL, CELL), Image.Resampling.LANCZOS)
        strip.paste(cell, (index * CELL, 0))
    return strip


def main() -> None:
    out, *pairs = sys.argv[1:]
    rows = [row(Path(photo), Path(folder)) for photo, folder in (pair.split("=") for pair in pairs)]
    sheet = Image.new("RGB", (rows[0].width, CELL * len(rows)), "white")
    for index, strip in enumerate(rows):
        sheet.paste(strip, (0, index * CELL))
    sheet.save(out, quality=88)


if __name__ == "__main__":
    main()
