"""The options of a job: one dataclass, the same names in REST JSON, object metadata and on the command line."""

from __future__ import annotations

import dataclasses
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, get_args, get_origin, get_type_hints

from infra.errors import InvalidOption

EngineName = Literal["auto", "triposr", "inflate"]
Background = Literal["auto", "remove", "keep"]


@dataclass(frozen=True)
class Options:
    """What a user may ask of a job. All optional, all bounded; see :data:`BOUNDS`.

    Raises :class:`infra.errors.InvalidOption` when a value is of the wrong type or out of bounds.
    """

    engine: EngineName = "auto"
    background: Background = "auto"
    #: share of the frame's side that the object's longest side takes
    foreground_ratio: float = 0.85
    #: samples of the density grid along one side of the cube
    resolution: int = 256
    #: side of the square texture, pixels
    texture_size: int = 1024
    #: triangles the mesh is decimated to
    target_faces: int = 20_000
    #: pictures in the orbit
    views: int = 30
    #: side of each of them, pixels; None lets the engine choose (512, or 256 for triposr on a CPU)
    view_size: int | None = None
    #: height of the printed model, millimetres
    print_height_mm: float = 100.0

    BOUNDS: ClassVar[Mapping[str, tuple[float, float]]] = {
        "foreground_ratio": (0.5, 0.98),
        "resolution": (32, 512),
        "texture_size": (256, 4096),
        "target_faces": (500, 200_000),
        "views": (4, 120),
        "view_size": (64, 1024),
        "print_height_mm": (5.0, 2000.0),
    }

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            _check(field.name, getattr(self, field.name))

    @classmethod
    def parse(cls, given: Mapping[str, Any]) -> Options:
        """Options from JSON values or from strings (object metadata, command line).

        An empty string means "not given". Unknown names raise :class:`InvalidOption`.
        """
        unknown = sorted(set(given) - set(_TYPES))
        if unknown:
            raise InvalidOption(f"There is no option {unknown[0]!r}. The options are: {', '.join(_TYPES)}.")
        return cls(**{name: _convert(name, value) for name, value in given.items() if value not in (None, "")})

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values, for the job record and the manifest."""
        return dataclasses.asdict(self)


_TYPES: dict[str, Any] = {
    name: hint
    for name, hint in get_type_hints(Options).items()
    if get_origin(hint) is not ClassVar and name != "BOUNDS"
}
#: Every option's name, in the order of the dataclass.
OPTION_NAMES = tuple(_TYPES)


def _convert(name: str, value: Any) -> Any:
    """A string or JSON value as the option's own type."""
    if get_origin(_TYPES[name]) is Literal:
        return value
    number_type = float if _TYPES[name] is float else int
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise InvalidOption(f"{name} must be a number, not {reprlib.repr(value)}.")
    try:
        number = float(value)
    except (ValueError, OverflowError):
        raise InvalidOption(f"{name} must be a number, not {reprlib.repr(value)}.") from None
    if number_type is int and number != number // 1:
        raise InvalidOption(f"{name} must be a whole number, not {reprlib.repr(value)}.")
    return number_type(number)


def _check(name: str, value: Any) -> None:
    if get_origin(_TYPES[name]) is Literal:
        choices = get_args(_TYPES[name])
        if value not in choices:
            raise InvalidOption(f"{name} must be one of {', '.join(choices)}, not {reprlib.repr(value)}.")
        return
    if value is None and name == "view_size":
        return
    low, high = Options.BOUNDS[name]
    if not low <= value <= high:  # also refuses NaN
        raise InvalidOption(f"{name} must lie between {low:g} and {high:g}, not {reprlib.repr(value)}.")
