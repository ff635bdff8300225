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


def test_lists_and_truths_may_come_as_strings() -> None:
    from_metadata = Options.parse({"lods": "20000, 5000,1000", "ambient_occlusion": "True"})
    from_json = Options.parse({"lods": [20_000, 5000, 1000], "ambient_occlusion": True})

    assert from_metadata == from_json == Options(lods=(20_000, 5000, 1000), ambient_occlusion=True)
    assert Options.parse({"lods": "", "ambient_occlusion": ""}) == Options()


def test_what_is_not_given_has_the_documented_default() -> None:
    assert Options.parse({"views": "", "view_size": None}) == Options()
    assert Options().as_dict() == {
        "engine": "auto",
        "background": "auto",
        "foreground_ratio": 0.85,
        "resolution": 256,
        "texture_size": 1024,
        "target_faces": 20_000,
        "parts": "largest",
        "lods": [],
        "texture_source": "auto",
        "ambient_occlusion": False,
        "views": 30,
        "view_size": None,
        "print_height_mm": 100.0,
    }


def test_options_survive_the_way_through_a_record() -> None:
    options = Options(
        resolution=64, view_size=256, print_height_mm=42.5, lods=(5000, 1000), ambient_occlusion=True
    )

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
        ({"lods": [5000, 99]}, "lods must lie between 100 and 200000"),
        ({"lods": [5000, "few"]}, "lods must be a number, not 'few'"),
        ({"lods": [1000] * 5}, "lods may have 4 entries at most, not 5"),
        ({"lods": 5000}, "lods must be a list of numbers, not 5000"),
        ({"lods": {"5000": 1}}, "lods must be a list of numbers"),
        ({"lods": "1000,,500"}, "lods must be a number, not ''"),
        ({"ambient_occlusion": "perhaps"}, "ambient_occlusion must be true or false, not 'perhaps'"),
        ({"ambient_occlusion": 1}, "ambient_occlusion must be true or false, not 1"),
        ({"parts": "some"}, "parts must be one of largest, all"),
        ({"texture_source": "mind"}, "texture_source must be one of auto, field"),
        ({"bucket": "x"}, "There is no option 'bucket'"),
    ],
)
def test_a_bad_option_is_named_with_what_is_allowed(given: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InvalidOption, match=sentence):
        Options.parse(given)
