"""Grids and comparisons, read back from what they draw: pixels, captions, places."""

import inspect

import numpy as np
import pytest
import torch

from t2i_utils import figures


def images_of(figure):
    return [np.asarray(axes.images[0].get_array()) for axes in figure.axes if axes.images]


def test_grid_shows_every_picture_with_its_own_caption():
    bytes_ = torch.randint(0, 256, (10, 3, 8, 8), dtype=torch.uint8)
    captions = [f"flower number {i}" for i in range(10)]
    figure = figures.grid(bytes_, captions, columns=4, title="ten of them")
    shown = images_of(figure)
    assert len(shown) == 10
    for pixels, picture in zip(shown, bytes_, strict=True):
        assert np.array_equal(pixels, picture.permute(1, 2, 0).numpy())
    texts = [text.get_text().replace("\n", " ") for text in figure.texts]
    assert texts == ["ten of them", *captions]
    places = [axes.get_position() for axes in figure.axes]
    assert len({round(place.x0, 4) for place in places}) == 4
    assert len({round(place.y0, 4) for place in places}) == 3
    assert all(place.width * figure.get_figwidth() == pytest.approx(
        place.height * figure.get_figheight()) for place in places)  # fmt: skip


def test_floats_and_bytes_give_the_same_picture():
    images = torch.tensor([-1.0, 0.0, 1.0]).view(1, 3, 1, 1).expand(1, 3, 4, 4)
    (pixels,) = images_of(figures.grid(images))
    assert pixels[0, 0].tolist() in ([0, 127, 255], [0, 128, 255])
    (half,) = images_of(figures.grid(images.bfloat16()))
    assert np.array_equal(half, pixels)
    (array,) = images_of(figures.grid(pixels.transpose(2, 0, 1)[None]))
    assert np.array_equal(array, pixels)


@pytest.mark.parametrize("columns", [1, 3, 8])
def test_long_sentences_stay_off_each_other_in_a_grid(columns, assert_apart, long):
    images = torch.zeros(columns + 1, 3, 8, 8)
    captions = [long, "m" * 40, *["short"] * (columns - 1)]
    assert_apart(figures.grid(images, captions, columns=columns, title=long))


@pytest.mark.parametrize("columns", [1, 3, 8])
def test_long_sentences_stay_off_each_other_in_a_comparison(columns, assert_apart, long):
    images = torch.zeros(columns, 3, 8, 8)
    rows = {"GAN-CLS": images, "averaged weights, without any of the wrong pairs": images}
    assert_apart(figures.compare(rows, [long] * columns, title=long))


def test_dollars_and_backslashes_are_letters_not_formulas(assert_apart):
    words = r"costs $5 \frac{ and $6"
    figure = figures.grid(torch.zeros(1, 3, 8, 8), [words], title=words)
    assert figures.png(figure).startswith(b"\x89PNG")
    assert_apart(figure)
    figures.png(figures.curves({"a": torch.ones(3)}, "a", title=words))


def test_compare_puts_models_in_rows_and_sentences_in_columns():
    rows = {"one": torch.full((3, 3, 4, 4), -1.0), "two": torch.full((3, 3, 4, 4), 1.0)}
    figure = figures.compare(rows, ["a", "b", "c"])
    places = [axes.get_position() for axes in figure.axes]
    values = [pixels.mean() for pixels in images_of(figure)]
    assert values == [0, 0, 0, 255, 255, 255]
    assert len({round(place.x0, 4) for place in places}) == 3
    above = [place.y0 for place, value in zip(places, values, strict=True) if value == 0]
    below = [place.y0 for place, value in zip(places, values, strict=True) if value == 255]
    assert min(above) > max(below)
    label = {text.get_text(): text.get_position()[1] for text in figure.texts}
    assert label["a"] > label["one"] > label["two"]


def test_ticks_stand_on_the_pictures_that_are_ticked():
    rows = {"one": torch.zeros(3, 3, 4, 4), "two": torch.ones(3, 3, 4, 4)}
    ticked = {"one": [False, True, False], "two": [True, False, False]}
    figure = figures.compare(rows, ["a", "b", "c"], ticked=ticked)
    places = [axes.get_position() for axes in figure.axes]
    ticks = [text.get_position() for text in figure.texts if text.get_text() == "✓"]
    found = [[place.contains(*tick) for place in places].index(True) for tick in ticks]
    assert found == [1, 3]


@pytest.mark.parametrize(
    ("images", "words"),
    [
        (torch.zeros(3, 8, 8), [r"\(3, 8, 8\)", r"expected \[N, 3, S, S\]"]),
        (torch.zeros(2, 1, 8, 8), [r"\(2, 1, 8, 8\)", "expected"]),
        (torch.zeros(0, 3, 8, 8), [r"\(0, 3, 8, 8\)", "at least 1"]),
        (torch.zeros(2, 3, 8, 8).long(), ["int64", "expected uint8, or a float"]),
        (np.zeros((2, 3, 8, 8)), ["float64", "expected uint8, or a float tensor"]),
        (torch.full((2, 3, 8, 8), 255.0), ["255", r"expected \[-1, 1\]"]),
        (torch.full((2, 3, 8, 8), torch.nan), ["nan", r"expected \[-1, 1\]"]),
    ],
)
def test_pictures_of_another_kind_are_named(images, words):
    for word in words:
        with pytest.raises(ValueError, match=word):
            inspect.unwrap(figures.grid)(images)
        with pytest.raises(ValueError, match=f"images of 'mine'.*{word}"):
            inspect.unwrap(figures.compare)({"mine": images}, ["a sentence"])


def test_wrong_numbers_of_captions_rows_columns_are_named():
    images = torch.zeros(3, 3, 8, 8)
    with pytest.raises(ValueError, match="captions are 2; expected 3"):
        figures.grid(images, ["a", "b"])
    with pytest.raises(ValueError, match="columns is 0"):
        figures.grid(images, columns=0)
    with pytest.raises(ValueError, match="'mine' are 3; expected 2"):
        figures.compare({"mine": images}, ["a", "b"])
    with pytest.raises(ValueError, match="0 rows and 1 sentences"):
        figures.compare({}, ["a"])
