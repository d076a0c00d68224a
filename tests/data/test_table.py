"""Many columns at a time give, bit for bit, what one column after another gives."""

import numpy as np
import pandas as pd
import pytest

from fedlab_nb.data import table as tables
from fedlab_nb.data.columns import as_numbers, as_values, kind_of
from fedlab_nb.data.declared import declared_encoding
from fedlab_nb.data.encoding import CLIP, CategoryCode, Encoding, NumberCode, encode
from fedlab_nb.data.intake import make_schema
from fedlab_nb.data.sums import NUM_BINS, OCTAVES, moments, octave_counts
from fedlab_nb.data.table import Table, as_block, tidy
from fedlab_nb.errors import SchemaError

ROWS = 60


def numbers(**more):
    """Columns of numbers of every size, some with gaps and with zeros of either sign."""
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({f"n{i}": rng.normal(size=ROWS) * 10.0 ** (3 * i - 9) for i in range(7)})
    frame.loc[::4, "n1"] = np.nan
    frame["n2"] = np.where(np.arange(ROWS) % 2, -0.0, 0.0)
    frame["n3"] = np.nan
    return frame.assign(y=rng.integers(0, 3, ROWS), **more)


def integers():
    """Whole numbers of several widths, and short floats."""
    rng = np.random.default_rng(2)
    frame = pd.DataFrame({kind: rng.integers(0, 2**60, ROWS).astype(kind) for kind in ("i8", "u8", "i4", "u1")})
    return frame.assign(b=rng.normal(size=ROWS).astype("f4"), y=rng.normal(size=ROWS))


def mixed():
    """Text, classes, truth values, gaps, numbers kept as objects."""
    rng = np.random.default_rng(3)
    return numbers(
        s=rng.choice(["a", "ü", None], ROWS),
        c=pd.Categorical(rng.choice(["x", "y"], ROWS)),
        b=rng.random(ROWS) < 0.5,
        i=pd.array(np.where(rng.random(ROWS) < 0.2, None, 3), dtype="Int64"),
        o=pd.Series([1, 2.5] * (ROWS // 2), dtype=object),
    )


FRAMES = {"numbers": numbers, "integers": integers, "mixed": mixed, "backwards": lambda: mixed().iloc[:, ::-1]}
every_frame = pytest.mark.parametrize("make", FRAMES.values(), ids=FRAMES)
any_piece = pytest.mark.parametrize("piece", [tables.PIECE, 3 * ROWS, 1], ids=["whole", "threes", "one by one"])


def same(a, b):
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def plain(column):
    return as_numbers(column) if kind_of(column) == "numeric" else as_values(column)


@any_piece
@every_frame
def test_rows_have_the_hashes_that_pandas_gives_the_columns_in_plain_form(make, piece, monkeypatch):
    monkeypatch.setattr(tables, "PIECE", piece)
    frame = make()
    of_pandas = pd.util.hash_pandas_object(pd.DataFrame({n: plain(frame[n]) for n in sorted(frame)}), index=False)
    assert same(Table(frame).hashes, of_pandas.to_numpy())


@every_frame
def test_a_block_holds_the_numbers_of_each_column(make):
    frame = make()
    names = [name for name in frame if kind_of(frame[name]) == "numeric"]
    for chosen in (names, names[::-1], names[1:3], names[:1]):
        one_by_one = np.stack([as_numbers(frame[name]) for name in chosen])
        assert same(as_block(frame, chosen), one_by_one)
        assert same(np.ascontiguousarray(Table(frame).block(chosen)), one_by_one)
    assert as_block(frame, []).shape == (0, ROWS)


def test_a_block_of_text_is_refused_without_quoting_it():
    with pytest.raises(SchemaError, match="should hold numbers") as caught:
        as_block(mixed().assign(s="Zanzibar"), ["n1", "s"])
    assert "Zanzibar" not in str(caught.value)


@any_piece
@every_frame
def test_features_in_plain_form_are_those_of_each_column(make, piece, monkeypatch):
    monkeypatch.setattr(tables, "PIECE", piece)
    frame = make()
    schema = make_schema(frame, "A", "y")
    slow = pd.DataFrame({column.name: plain(frame[column.name]) for column in schema.features})
    features, target = tidy(frame, schema)
    pd.testing.assert_frame_equal(features, slow, check_exact=True)
    assert target.tolist() == frame["y"].tolist()


@any_piece
@every_frame
def test_sums_are_those_of_each_column(make, piece, monkeypatch):
    monkeypatch.setattr(tables, "PIECE", piece)
    frame = make()
    schema = make_schema(frame, "A", "y", {"n2": (0.0, 1.0)} if "n2" in frame else None)
    asked = [c for c in (*schema.features, schema.target) if c.kind == "numeric"]
    features, target = tidy(frame, schema)
    ranges = {column.name: (-3.0, 5.0) for column in asked if column.bounds is None}
    expected, counts = [], []
    for column in asked:
        values = as_numbers(target if column is schema.target else features[column.name])
        low, high = column.bounds or ranges[column.name]
        present = values[~np.isnan(values)]
        x = np.clip((present - (low + high) / 2) / ((high - low) / 2), -1.0, 1.0)
        expected += [x.sum(), (x * x).sum(), float(x.size)]
        if column.bounds is None:
            bins = [np.clip(np.searchsorted(OCTAVES, v, side="right") - 1, 0, NUM_BINS - 1) for v in present]
            missing = [NUM_BINS] * (values.size - present.size)
            counts.append(np.bincount(np.array([*bins, *missing], dtype=int), minlength=NUM_BINS + 1))
    assert same(moments(features, target, schema, ranges), np.array([*expected, float(ROWS)]))
    assert same(octave_counts(features, target, schema), np.concatenate(counts).astype(float))


@pytest.mark.parametrize("rows", [0, 1, 7, 8, 9, 127, 129, 8191, 20_000])
def test_sums_of_any_number_of_rows_are_those_of_each_column(rows):
    frame = pd.DataFrame(np.random.default_rng(rows).normal(size=(max(rows, 2), 3)), columns=["a", "b", "c"])
    schema = make_schema(frame.assign(y=True), "A", "y", dict.fromkeys("abc", (-4.0, 4.0)))
    features, target = (part[:rows] for part in tidy(frame.assign(y=True), schema))
    x = [np.clip(features[name].to_numpy(copy=True) / 4.0, -1.0, 1.0) for name in "abc"]
    expected = np.array([value for each in x for value in (each.sum(), (each * each).sum(), rows)] + [rows])
    assert same(moments(features, target, schema, {}), expected.astype(float))


def slowly(frame, encoding):
    """Inputs read one column after another."""
    columns = []
    for code in encoding.inputs:
        if isinstance(code, CategoryCode):
            columns += [[value == known for value in as_values(frame[code.name])] for known in code.values]
            continue
        values = as_numbers(frame[code.name])
        x = (np.clip(values, code.low, code.high) - code.centre) / code.scale
        columns.append(np.where(np.isnan(values), 0.0, np.clip(x, -CLIP, CLIP)))
        columns += [np.isnan(values)] if code.indicator else []
    return np.array(columns, dtype=np.float32).T


@any_piece
def test_inputs_are_those_of_each_column(piece, monkeypatch):
    monkeypatch.setattr(tables, "PIECE", piece)
    frame = mixed()
    codes = [
        NumberCode("n0", 0.1, 0.3, -0.5, 0.5, indicator=True),
        CategoryCode("s", ("ü", "a")),
        NumberCode("n2", 0.0, 1.0, 0.0, 1.0),
        NumberCode("n1", 0.0, 1e-9, -1.0, -0.0, indicator=True),
        CategoryCode("b", (True, False)),
        NumberCode("n3", 1.0, 2.0, 0.0, 4.0, indicator=True),
        NumberCode("i", 1.0, 2.0, 0.0, 4.0),
    ]
    numeric = [code for code in codes if isinstance(code, NumberCode) and code.name.startswith("n")]
    for inputs in (codes, codes[::-1], numeric, codes[1:2]):
        encoding = Encoding(tuple(inputs), CategoryCode("y", (0, 1, 2)))
        for each in (frame, frame[[code.name for code in inputs]], frame[:1], frame[:0]):
            assert same(encode(each, encoding), slowly(each, encoding))


def test_what_is_declared_alike_is_one_column_for_all_owners():
    frame = numbers()
    one, other = (make_schema(frame, name, "y", {"n2": (low, 1)}) for name, low in (("A", 0), ("B", -0.0)))
    assert all(a is b for a, b in zip(one.features, other.features, strict=True))
    assert str(other.features[2].bounds) == "(0.0, 1.0)"


def test_an_encoding_says_itself_in_the_same_words_at_every_call():
    frame = numbers()
    bounds = {name: (-1, 1) for name in frame if name != "y"}
    encoding = declared_encoding(make_schema(frame, "A", "y", bounds, {"y": [0, 1, 2]}))
    assert encoding.words is encoding.words
    assert encoding.feature_names[:2] == ("n0", "n0 (missing)")
