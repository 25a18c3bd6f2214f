"""Values that serving decodes by hand are what Feast itself makes of the same bytes."""

import subprocess
import sys

from hypothesis import example, given, settings
from hypothesis import strategies as st

from fvi_pipeline.features import online_format

_SECONDS = st.integers(-62_135_596_800, 253_402_300_799)


def of_feast(member, value):
    from feast.protos.feast.types.Value_pb2 import Value
    from feast.type_map import feast_value_type_to_python_type

    message = Value(**{member: value})
    return message.SerializeToString(), feast_value_type_to_python_type(message)


@settings(deadline=None)  # the first example imports Feast
@given(st.integers(-(2**63), 2**63 - 1))
@example(0)
@example(-1)
def test_whole_numbers(number):
    encoded, expected = of_feast("int64_val", number)
    assert online_format.decode(encoded) == expected == number


@settings(deadline=None)
@given(_SECONDS)
@example(0)
def test_times(seconds):
    encoded, expected = of_feast("unix_timestamp_val", seconds)
    assert online_format.decode(encoded) == expected


def test_truths_and_what_is_none():
    for truth in (True, False):
        encoded, expected = of_feast("bool_val", truth)
        assert online_format.decode(encoded) is expected is truth
    encoded, expected = of_feast("unix_timestamp_val", online_format.NULL_TIME)
    assert online_format.decode(encoded) is expected is None
    assert online_format.decode(b"") is None


def test_serving_a_mine_imports_no_feast():
    code = (
        "import sys, fvi_pipeline.serving.feature_reader\n"
        "from fvi_pipeline.features.online_format import decode\n"
        "values = [decode(v) for v in (bytes([32, 227, 15]), bytes([56, 1]), bytes.fromhex('4080b8d4fb05'))]\n"
        "print(values[0], values[1], values[2].year, 'feast' in sys.modules)"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert told.split() == ["2019", "True", "2020", "False"]
