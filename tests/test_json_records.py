"""Records as JSON: written in order, read back, and what is no record named in one line."""

import json
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pytest

from model_maker import json_records


@dataclass(frozen=True)
class Inner:
    label: str
    share: float


@dataclass(frozen=True)
class Head:
    count: int
    right: bool


@dataclass(frozen=True, kw_only=True)
class Outer:
    first: tuple[float, float]
    float_model: Inner | None = field(default=None, metadata=json_records.named("float"))
    kind: Literal["a", "b"] = "a"
    head: Head = field(metadata=json_records.FLAT)
    inner: tuple[Inner, ...] = ()
    by_name: dict[str, Inner | Head] = field(default_factory=dict)
    nothing: int | None
    free: Any = None


@dataclass(frozen=True)
class Own:
    number: int

    def as_dict(self):
        return {"doubled": 2 * self.number}

    @classmethod
    def from_dict(cls, content):
        return cls(content["doubled"] // 2)


@dataclass(frozen=True)
class Holder:
    own: Own
    table: np.ndarray[Any, Any]


WHOLE = Outer(
    first=(0.5, 1.0),
    float_model=Inner("x", 0.25),
    kind="b",
    head=Head(3, True),
    inner=(Inner("y", 1.0), Inner("z", 0.0)),
    by_name={"i": Inner("y", 1.0), "h": Head(1, False)},
    nothing=None,
    free={"any": [1]},
)
TEXT = (
    '{"first": [0.5, 1.0], "float": {"label": "x", "share": 0.25}, "kind": "b", "count": 3, "right": true, '
    '"inner": [{"label": "y", "share": 1.0}, {"label": "z", "share": 0.0}], '
    '"by_name": {"i": {"label": "y", "share": 1.0}, "h": {"count": 1, "right": false}}, "nothing": null, '
    '"free": {"any": [1]}}'
)


def test_fields_are_written_in_their_order_and_read_back():
    assert json.dumps(json_records.as_dict(WHOLE)) == TEXT
    assert json_records.read(Outer, json.loads(TEXT)) == WHOLE


def test_what_has_its_default_is_left_out():
    plain = Outer(first=(1.0, 2.0), head=Head(0, False), nothing=None)
    assert json_records.as_dict(plain) == {"first": [1.0, 2.0], "count": 0, "right": False, "nothing": None}
    assert json_records.read(Outer, json_records.as_dict(plain)) == plain


def test_of_other_versions_a_field_may_lack_or_be_unknown():
    found = json_records.read(Outer, {"first": [1, 2], "count": 0, "right": False, "later": 1})
    assert found == Outer(first=(1.0, 2.0), head=Head(0, False), nothing=None)
    assert type(found.first[0]) is float


def test_records_may_stand_by_their_label():
    assert json_records.read(Outer, json.loads(TEXT) | {"inner": {"y": {"share": 1}, "z": {"share": 0}}}) == WHOLE


def test_a_record_may_have_a_form_of_its_own_and_a_table_becomes_an_array():
    assert json_records.as_dict(Holder(Own(7), np.ones(2)))["own"] == {"doubled": 14}
    found = json_records.read(Holder, {"own": {"doubled": 6}, "table": [[4, 5]]})
    assert found.own == Own(3) and isinstance(found.table, np.ndarray)
    with pytest.raises(ValueError, match=r"^own is damaged \(KeyError\('doubled'\)\)$"):
        json_records.read(Holder, {"own": {}, "table": []})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"first": [1.0]}, r"first is \[1.0\]"),
        ({"first": ["1", 2]}, r"first\[0\] is '1'"),
        ({"first": [True, 2]}, r"first\[0\] is True"),
        ({"float": {"label": "x"}}, "float.share is missing"),
        ({"kind": "c"}, "kind is 'c'"),
        ({"count": 1.5}, "count is 1.5"),
        ({"right": 1}, "right is 1"),
        ({"inner": 3}, "inner is 3"),
        ({"inner": {"y": 3}}, r"inner\[0\] is 3"),
        ({"by_name": {"i": {"label": 3}}}, "by_name.i.count is missing"),
        ({"nothing": "n" * 500}, "nothing is 'n{50,60}$"),
    ],
)
def test_what_is_no_record_is_named(change, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        json_records.read(Outer, json.loads(TEXT) | change)
    with pytest.raises(ValueError, match="^the content is 3"):
        json_records.read(Outer, 3)
