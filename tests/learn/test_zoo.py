"""Small models for pictures, texts and windows: what they compute, against sums written out; and what they refuse."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import fedlab_nb as fl
from fedlab_nb.errors import SettingError
from fedlab_nb.learn import build, initial_weights
from fedlab_nb.learn.engine.programs import Network, compiled
from fedlab_nb.learn.models import cnn, series, text
from tests.rounds.common import assert_teaches, play

SIDES = st.integers(1, 9)
MODELS = st.one_of(
    st.builds(
        lambda c, h, w, filters: cnn((c, h, w), tuple(filters)),
        st.integers(1, 3),
        SIDES,
        SIDES,
        st.lists(st.integers(1, 4), min_size=1, max_size=3),
    ),
    st.builds(
        lambda n, filters, v: series(n, tuple(filters), variables=v),
        SIDES,
        st.lists(st.integers(1, 4), min_size=1, max_size=3),
        st.integers(1, 3),
    ),
)


@settings(max_examples=25, deadline=None)
@given(MODELS, st.integers(1, 3), st.sampled_from([1, 2]))
def test_the_stated_size_is_that_of_the_module_which_takes_any_number_of_rows(model, outputs, beside):
    inputs = int(np.prod(model.shape)) * beside
    module = build(model, inputs, outputs)
    assert model.size(inputs, outputs) == sum(p.numel() for p in module.parameters())
    assert [tuple(module(torch.zeros(n, inputs)).shape) for n in (0, 1, 5)] == [(n, outputs) for n in (0, 1, 5)]


@pytest.mark.parametrize("model", [cnn(), cnn((2, 3, 4), (3,)), series(6), series(4, (2, 3), variables=2), text(3, 2)])
def test_owners_can_be_trained_together_also_where_values_may_be_missing(model):
    inputs = 7 if model == text(3, 2) else int(np.prod(model.shape))
    for beside in (1, 2):
        assert isinstance(compiled(build(model, inputs * beside, 3)), Network)


def filtered(image, weights, bias):
    """What one filter (channels, 3, 3) gives at every place of an image (channels, h, w), sum by sum."""
    _, height, width = image.shape
    wide = np.pad(image, ((0, 0), (1, 1), (1, 1)))
    return np.array(
        [[(wide[:, y : y + 3, x : x + 3] * weights).sum() + bias for x in range(width)] for y in range(height)]
    )


def first_layer(module, rows):
    """The numbers that come out of the first filters, before anything else."""
    return module[:2](torch.tensor(rows, dtype=torch.float32)).detach().numpy()


def test_a_filter_sees_each_pixel_and_its_neighbours_row_by_row():
    rng = np.random.default_rng(0)
    module = build(cnn((2, 4, 5), (3,)), 40, 1)
    rows = rng.normal(size=(2, 40))
    weights, bias = (p.detach().double().numpy() for p in module[1].parameters())
    for row, found in zip(rows, first_layer(module, rows), strict=True):
        image = row.reshape(2, 4, 5)
        for n in range(3):
            assert found[n] == pytest.approx(filtered(image, weights[n], bias[n]), abs=1e-5)


def test_where_each_number_says_whether_it_is_missing_a_filter_sees_both_of_it_and_of_its_neighbours():
    rng = np.random.default_rng(1)
    module = build(cnn((1, 4, 5), (3,)), 40, 1)
    values, missing = rng.normal(size=(4, 5)), (rng.random((4, 5)) < 0.3).astype(float)
    row = np.stack([values, missing], axis=-1).reshape(1, 40)
    weights, bias = (p.detach().double().numpy() for p in module[1].parameters())
    found = first_layer(module, row)[0]
    for n in range(3):
        of_values = filtered(values[None], weights[n][:, :, 0::2], bias[n])
        of_missing = filtered(missing[None], weights[n][:, :, 1::2], 0.0)
        assert found[n] == pytest.approx(of_values + of_missing, abs=1e-5)


def test_a_window_is_read_in_order_one_variable_after_the_other():
    module = build(series(4, (2,), variables=2), 8, 1)
    rows = np.random.default_rng(2).normal(size=(3, 8))
    weights, bias = (p.detach().double().numpy() for p in module[1].parameters())
    for row, found in zip(rows, first_layer(module, rows), strict=True):
        wide = np.pad(row.reshape(2, 4), ((0, 0), (1, 1)))
        for n in range(2):
            sums = [(wide[:, t : t + 3] * weights[n]).sum() + bias[n] for t in range(4)]
            assert found[n] == pytest.approx(np.array(sums), abs=1e-5)


def test_a_text_is_the_sum_of_its_word_vectors():
    module = build(text(embedding=3, hidden=2), 5, 1)
    vectors = module[0].weight.detach()
    assert tuple(vectors.shape) == (3, 5)
    counts = torch.tensor([[2.0, 0.0, 0.0, 1.0, 0.0]])
    assert torch.allclose(module[0](counts)[0], 2 * vectors[:, 0] + vectors[:, 3])
    assert text(3, 2).size(5, 1) == initial_weights(text(3, 2), 5, 1, 0).size


def test_columns_that_do_not_fill_the_shape_are_counted_in_the_error():
    for model, inputs in ((cnn(), 30), (cnn(), 65), (series(24), 25), (series(6, variables=2), 6)):
        for ask in (model, model.size):
            with pytest.raises(SettingError) as caught:
                ask(inputs, 1)
            assert_teaches(caught, repr(model), f"{inputs} inputs")


@pytest.mark.parametrize(
    "make",
    [
        lambda: cnn(shape=(8, 8)),
        lambda: cnn(shape=(1, 8, 0)),
        lambda: cnn(shape=64),
        lambda: cnn(channels=()),
        lambda: cnn(channels=16),
        lambda: cnn(channels=(16, 2.5)),
        lambda: series(0),
        lambda: series("a day"),
        lambda: series(24, channels=(True,)),
        lambda: series(24, variables=0),
        lambda: text(embedding=0),
        lambda: text(hidden=None),
    ],
)
def test_what_is_no_width_is_refused_with_an_example(make):
    with pytest.raises(SettingError) as caught:
        make()
    assert_teaches(caught, "fl.models.")


def test_texts_and_cards_name_the_layers():
    told = [cnn(), series(24, (8, 4)), series(6, variables=3), text()]
    assert [repr(model) for model in told] == [
        "cnn(shape=(1, 8, 8), channels=(16, 32))",
        "series(length=24, channels=(8, 4))",
        "series(length=6, channels=(16,), variables=3)",
        "text(embedding=32, hidden=16)",
    ]
    assert "6,090" not in cnn()._repr_html_()
    assert f"{cnn().size(64, 1):,}" in cnn()._repr_html_()
    assert all(model == type(model)(**vars(model)) for model in told)
    assert all("<table>" in model._repr_html_() for model in told)


def test_a_network_for_pictures_learns_digits_over_three_owners():
    frame = fl.data.digits().iloc[:600]
    owners = fl.split_rows(frame, owners=3)
    model = cnn((1, 8, 8), (8, 16))
    history = play(fl.Federation(owners), fl.FedAvg(model, lr=0.1, executor="sequential"), num_rounds=3)
    assert history[-1].failed is None
    assert history[-1].metrics["accuracy"] > 0.6
