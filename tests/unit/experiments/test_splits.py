"""Parts of a set are fair and the same each time; small pictures get the forms that are made for them."""

import numpy as np
import pytest
import torch

import smallnets as sn
from smallnets.data.imageset import ImageSet
from smallnets.experiments.splits import small_form, stratified_part


def pictures(counts: list[int], side: int = 8) -> ImageSet:
    labels = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    names = tuple(f"class {number}" for number in range(len(counts)))
    images = torch.zeros(len(labels), 3, side, side, dtype=torch.uint8)
    return ImageSet(labels, names, tuple(map(str, range(len(labels)))), (0.5,) * 3, (0.2,) * 3, images=images)


@pytest.mark.parametrize("count", [6, 7, 10, 33, 59, 60])
def test_a_part_has_exactly_so_many_of_each_class_its_share(count: int) -> None:
    whole = pictures([30, 20, 10])
    part = stratified_part(whole, count)
    found = torch.bincount(part.labels, minlength=3)
    assert len(part) == count and (found >= 2).all()
    assert np.abs(found.numpy() - np.array([30, 20, 10]) * count / 60).max() <= 1.5
    assert part.ids == stratified_part(whole, count).ids and list(part.ids) == sorted(part.ids, key=int)
    assert part.mean == whole.mean


def test_a_limit_above_all_is_all_and_one_too_small_is_refused() -> None:
    whole = pictures([30, 20, 10])
    assert stratified_part(whole, 1000) is whole
    with pytest.raises(
        sn.DataError, match=r"a limit of at least two pictures for each of the 3 classes; got 5. Take 6 or"
    ):
        stratified_part(whole, 5)
    with pytest.raises(sn.OptionError, match="limit to be an integer of at least 1; got 0"):
        stratified_part(whole, 0)


def test_small_pictures_get_the_small_form() -> None:
    for name, form in (("resnet18", {"stem": "cifar"}), ("vgg16", {"head": "linear"}), ("alexnet", {"stem": "cifar"})):
        options, said = small_form(name, {}, pictures([2, 2], side=32))
        ((option, value),) = form.items()
        assert options == form and f"{option}={value}" in said and f"--set {option}=imagenet undoes it" in said
        assert small_form(name, {option: "imagenet"}, pictures([2, 2], side=32)) == ({option: "imagenet"}, "")
        assert small_form(name, {}, pictures([2, 2], side=64)) == ({}, "")
    assert small_form("resnet20", {}, pictures([2, 2], side=32)) == ({}, "")
    assert small_form("lenet5", {}, pictures([2, 2], side=32)) == ({}, "")
