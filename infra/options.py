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
Parts = Literal["largest", "all"]
TextureSource = Literal["auto", "field"]


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
    #: what stays of a surface of several bodies: the largest, or all that are more than crumbs
    parts: Parts = "largest"
    #: triangles of further, coarser models, one file each
    lods: tuple[int, ...] = ()
    #: where colours come from: the photo itself where it is better, or the Field alone
    texture_source: TextureSource = "auto"
    #: whether light that does not reach crevices is baked into a map of its own
    ambient_occlusion: bool = False
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
        "lods": (100, 200_000),
        "views": (4, 120),
        "view_size": (64, 1024),
        "print_height_mm": (5.0, 2000.0),
    }

    #: most entries of ``lods``
    MOST_LODS: ClassVar[int] = 4

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
            raise InvalidOption(
                f"There is no option {reprlib.repr(unknown[0])}. The options are: {', '.join(_TYPES)}."
            )
        return cls(**{name: _convert(name, value) for name, value in given.items() if value not in (None, "")})

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values, for the job record and the manifest."""
        return {**dataclasses.asdict(self), "lods": list(self.lods)}


_TYPES: dict[str, Any] = {
    name: hint for name, hint in get_type_hints(Options).items() if get_origin(hint) is not ClassVar
}
#: Every option's name, in the order of the dataclass.
OPTION_NAMES = tuple(_TYPES)


#: What strings say in object metadata, where JSON's values cannot be.
_TRUTH = {"true": True, "false": False}


def _convert(name: str, value: Any) -> Any:
    """A string or JSON value as the option's own type."""
    kind = _TYPES[name]
    if get_origin(kind) is Literal:
        return value
    if kind is bool:
        return _TRUTH.get(value.strip().lower(), value) if isinstance(value, str) else value
    if get_origin(kind) is tuple:
        entries = value.split(",") if isinstance(value, str) else value
        if not isinstance(entries, (list, tuple)):
            raise InvalidOption(f"{name} must be a list of numbers, not {reprlib.repr(value)}.")
        return tuple(int(_number(name, entry, whole=True)) for entry in entries)
    number = _number(name, value, whole=kind is not float)
    return number if kind is float else int(number)


def _number(name: str, value: Any, *, whole: bool) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise InvalidOption(f"{name} must be a number, not {reprlib.repr(value)}.")
    try:
        number = float(value)
    except (ValueError, OverflowError):
        raise InvalidOption(f"{name} must be a number, not {reprlib.repr(value)}.") from None
    if whole and number != number // 1:
        raise InvalidOption(f"{name} must be a whole number, not {reprlib.repr(value)}.")
    return number


def _check(name: str, value: Any) -> None:
    kind = _TYPES[name]
    if get_origin(kind) is Literal:
        choices = get_args(kind)
        if value not in choices:
            raise InvalidOption(f"{name} must be one of {', '.join(choices)}, not {reprlib.repr(value)}.")
    elif kind is bool:
        if not isinstance(value, bool):
            raise InvalidOption(f"{name} must be true or false, not {reprlib.repr(value)}.")
    elif get_origin(kind) is tuple:
        if len(value) > Options.MOST_LODS:
            raise InvalidOption(f"{name} may have {Options.MOST_LODS} entries at most, not {len(value)}.")
        for entry in value:
            _check_bounds(name, entry)
    elif value is not None or name != "view_size":
        _check_bounds(name, value)


def _check_bounds(name: str, value: Any) -> None:
    low, high = Options.BOUNDS[name]
    if not low <= value <= high:  # also refuses NaN
        raise InvalidOption(f"{name} must lie between {low:g} and {high:g}, not {reprlib.repr(value)}.")
