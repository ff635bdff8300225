"""Bodies that no program of good will sends, and events that S3 never would: a short refusal, and no defect."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as how
from hypothesis import strategies as st

from functions import app
from infra.errors import BadInput
from infra.job import Source
from infra.options import OPTION_NAMES, Options
from tests.cloud.conftest import Cloud, Rest, refused, s3_record

NAMED = '{"filename": "robot.png", '
OPTION = NAMED + '"options": {'

#: by what they are; each is refused as bad input
BODIES = {
    "nothing": "",
    "blanks": " \n\t",
    "null": "null",
    "a number": "1",
    "a text": '"x"',
    "a list": "[]",
    "cut short": NAMED,
    "nested without end": "[" * 100_000,
    "objects nested without end": OPTION + '"a": {' * 50_000 + "}" * 50_002,
    "with a byte order mark": "\ufeff" + NAMED + "}",
    "in sixteen bits": (NAMED + "}").encode("utf-16").decode("utf-8", "replace"),
    "not UTF-8": b'\xff\xfe{"filename"}'.decode("utf-8", "replace"),
    "two names, the second none": NAMED + '"filename": {}}',
    "a field that is unknown": NAMED + '"owner": "mallory"}',
    "a field of a megabyte": NAMED + '"' + "x" * 1_000_000 + '": 1}',
    "a field that is no text": NAMED + '"\\ud800": 1}',
    "a field of an object's own": NAMED + '"__proto__": {"owner": "mallory"}}',
    "a name that is blank": '{"filename": " \\t "}',
    "a name that is a list": '{"filename": ["robot.png"]}',
    "a type with a header in it": NAMED + '"content_type": "image/png\\r\\nX: y"}',
    "a type that runs": NAMED + '"content_type": "image/svg+xml"}',
    "options that are a list": NAMED + '"options": []}',
    "an option of a megabyte": OPTION + '"' + "x" * 1_000_000 + '": 1}}',
    "an option that is no text": OPTION + '"\\ud800": 1}}',
    "a value that is no text": OPTION + '"engine": "\\ud800"}}',
    "a value that is no number": OPTION + '"views": NaN}}',
    "a value beyond all numbers": OPTION + '"foreground_ratio": Infinity}}',
    "a value beyond floating point": OPTION + '"foreground_ratio": 1e400}}',
    "a value of five thousand digits": OPTION + '"views": ' + "9" * 5_000 + "}}",
    "a value of four thousand digits": OPTION + '"views": ' + "9" * 4_000 + "}}",
    "a text of a hundred thousand digits": OPTION + '"views": "' + "9" * 100_000 + '"}}',
    "a list nested deep": OPTION + '"lods": ' + "[" * 900 + "]" * 900 + "}}",
    "a list without end": OPTION + '"lods": [' + "100," * 99_999 + "100]}}",
    "a list as text without end": OPTION + '"lods": "' + "100," * 99_999 + '100"}}',
    "a truth that is none": OPTION + '"ambient_occlusion": "perhaps"}}',
}  # fmt: skip


@pytest.mark.parametrize("what", BODIES)
def test_a_hostile_body_is_refused_in_a_few_words(cloud: Cloud, rest: Rest, ann: str, what: str) -> None:
    answer = rest("POST", "/jobs", token=ann, body=BODIES[what])
    status, code = refused(answer)
    assert (status, code) in ((400, "bad_input"), (400, "invalid_option"))
    assert len(json.dumps(answer[1])) < 600
    assert cloud.jobs() == []


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)


@how(max_examples=300, derandomize=True, deadline=None)
@given(st.dictionaries(st.sampled_from(OPTION_NAMES) | st.text(max_size=8), ANY_JSON, max_size=4))
def test_whatever_options_are_given_they_are_understood_and_bounded_or_refused(given_options: Any) -> None:
    try:
        options = Options.parse(given_options)
    except BadInput as error:
        assert len(error.message) < 600  # noqa: PT017  most of them are no error
    else:
        assert Options.parse(options.as_dict()) == options
        assert len(json.dumps(options.as_dict(), allow_nan=False)) < 2_000


@how(
    max_examples=60,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    st.fixed_dictionaries(
        {},
        optional={
            "s3": ANY_JSON
            | st.fixed_dictionaries(
                {},
                optional={
                    "bucket": ANY_JSON | st.fixed_dictionaries({"name": ANY_JSON}),
                    "object": ANY_JSON
                    | st.fixed_dictionaries({"key": ANY_JSON}, optional={"size": ANY_JSON, "eTag": ANY_JSON}),
                },
            ),
            "eventTime": ANY_JSON,
        },
    )
)
def test_a_record_that_is_none_of_s3_is_told_and_makes_no_job(cloud: Cloud, record: dict[str, Any]) -> None:
    with pytest.raises(BadInput):
        app.on_upload({"Records": [record]}, None)
    assert cloud.jobs() == []


@pytest.mark.parametrize(
    "key",
    ["uploads/", "uploads//", "uploads/\0/\0", "uploads/../inbox/x.png", "inbox", "INBOX/x.png", "/inbox/x.png",
     "inboxes/x.png", "jobs/x/1/manifest.json", "inbox/", "inbox//", "\u202einbox/x.png", "x" * 1_024, ""],
)  # fmt: skip
def test_an_object_that_lies_in_no_place_of_ours_makes_no_job(cloud: Cloud, key: str) -> None:
    waiting = cloud.table.create(
        "a", "ann", Source(cloud.settings.upload_bucket, "uploads/a/x.png"), {}, arrived=False
    )
    app.on_upload({"Records": [s3_record(cloud.settings.upload_bucket, key, 5, "e")]}, None)
    assert [job.job_id for job in cloud.jobs()] == [waiting.job_id]
    assert cloud.messages() == []
