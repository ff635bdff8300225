"""Options: the same names and bounds wherever they come from."""

from __future__ import annotations

from typing import Any

import pytest

from infra.errors import InvalidOption
from infra.options import OPTION_NAMES, Options


def test_strings_and_json_values_give_the_same_options() -> None:
    from_metadata = Options.parse({"resolution": "128", "foreground_ratio": "0.9", "engine": "inflate"})
    from_json = Options.parse({"resolution": 128, "foreground_ratio": 0.9, "engine": "inflate"})

    assert from_metadata == from_json == Options(resolution=128, foreground_ratio=0.9, engine="inflate")


def test_what_is_not_given_has_the_documented_default() -> None:
    assert Options.parse({"views": "", "view_size": None}) == Options()
    assert Options().as_dict() == {
        "engine": "auto",
        "background": "auto",
        "foreground_ratio": 0.85,
        "resolution": 256,
        "texture_size": 1024,
        "target_faces": 20_000,
        "views": 30,
        "view_size": None,
        "print_height_mm": 100.0,
    }


def test_options_survive_the_way_through_a_record() -> None:
    options = Options(resolution=64, view_size=256, print_height_mm=42.5)

    assert Options.parse(options.as_dict()) == options
    assert set(options.as_dict()) == set(OPTION_NAMES)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"resolution": 31}, "resolution must lie between 32 and 512"),
        ({"resolution": 10**400}, "resolution must"),
        ({"resolution": "nan"}, "resolution must be a whole number"),
        ({"foreground_ratio": "nan"}, "foreground_ratio must lie between"),
        ({"foreground_ratio": "inf"}, "foreground_ratio must lie between"),
        ({"views": 12.5}, "views must be a whole number"),
        ({"views": True}, "views must be a number"),
        ({"views": "many"}, "views must be a number, not 'many'"),
        ({"engine": "magic"}, "engine must be one of auto, triposr, inflate"),
        ({"engine": ["inflate"]}, "engine must be one of"),
        ({"bucket": "x"}, "There is no option 'bucket'"),
    ],
)
def test_a_bad_option_is_named_with_what_is_allowed(given: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InvalidOption, match=sentence):
        Options.parse(given)
