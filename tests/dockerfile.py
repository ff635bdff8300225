"""The worker's Dockerfile, read as a builder reads it: instructions, stages, variables."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PATH = ROOT / "gpu_container" / "Dockerfile"


@dataclass(frozen=True)
class Instruction:
    name: str
    #: all that follows the name, on one line
    text: str
    #: number of the stage it belongs to; -1 before the first
    stage: int

    @property
    def words(self) -> list[str]:
        return shlex.split(self.text)


def read(path: Path = PATH) -> list[Instruction]:
    """Every instruction in order. Comments may stand between the lines of one."""
    lines = [line for line in path.read_text().splitlines() if not line.lstrip().startswith("#")]
    stage, found = -1, []
    for line in re.sub(r"\\\n", " ", "\n".join(lines)).splitlines():
        if line.strip():
            name, _, text = line.strip().partition(" ")
            stage += name == "FROM"
            found.append(Instruction(name, " ".join(text.split()), stage))
    return found


def arguments(instructions: list[Instruction]) -> dict[str, str]:
    """Build arguments that have a default."""
    given = [instruction.text.partition("=") for instruction in instructions if instruction.name == "ARG"]
    return {name: value for name, equals, value in given if equals}


def variables(instructions: list[Instruction]) -> dict[str, str]:
    """Every variable that any stage sets, build arguments filled in."""
    defaults = arguments(instructions)
    return {
        name: re.sub(r"\$\{(\w+)\}", lambda found: defaults[found[1]], value)
        for instruction in instructions
        if instruction.name == "ENV"
        for name, _, value in (word.partition("=") for word in instruction.words)
    }


def stages(instructions: list[Instruction]) -> dict[str, int]:
    """Name of a stage → its number."""
    named = [
        instruction for instruction in instructions if instruction.name == "FROM" and " AS " in instruction.text
    ]
    return {instruction.text.rpartition(" AS ")[2]: instruction.stage for instruction in named}
