"""Image folders as people have them: where the splits and the class folders are, and which file is of which class."""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import DataError, message
from ..warn import warn
from .archive import SUFFIXES, Archive, Entry, existing, is_picture, suffix
from .classes import keep_classes
from .labels import Labels, labelled, row_labels
from .names import class_name, counted, listed, shown

# Folders of one split go by several names; the first that is there is taken.
SPLITS = (("train", "training"), ("val", "valid", "validation", "dev"), ("test", "testing"))
SPLIT_NAMES = frozenset(name for names in SPLITS for name in names)
# Pictures that are not read; other files beside pictures are nobody's loss.
UNREAD = frozenset(
    {
        ".heic",
        ".heif",
        ".avif",
        ".jxl",
        ".jp2",
        ".j2k",
        ".psd",
        ".svg",
        ".tga",
        ".ico",
        ".eps",
        ".pcx",
        ".dds",
        ".exr",
        ".hdr",
        ".raw",
        ".cr2",
        ".nef",
        ".arw",
        ".dng",
    }
)
LAYOUT = "pictures as split/class/image"


@dataclass(frozen=True)
class Found:
    """The pictures of one split: names in the archive, a label each, and the classes that the labels count.

    ``training`` is the class list of the training split, where there is one and this is another.
    """

    archive: Archive
    names: list[str]
    labels: list[int]
    classes: list[str]
    training: list[str] | None


class Tree:
    """An archive's pictures, the folders that are wrapped around everything left out."""

    def __init__(self, path: Path, split: str, labels: Labels | None = None) -> None:
        self.archive, self.labels = Archive(path), labels
        listing = self.archive.listing()
        self.pictures: list[Entry] = [entry for entry in listing.files if is_picture(entry[0])]
        self.others = [parts for parts, _ in listing.files if not is_picture(parts)]
        if not self.pictures:
            kinds = sorted({suffix(parts) for parts in self.others} & UNREAD)
            hint = f"Its pictures are of kinds that are not read: {', '.join(kinds)}." if kinds else "Check the path."
            raise DataError(message("load", LAYOUT, f"no picture in {shown(str(path))}", hint))
        depth = len(self._around(split))
        self.pictures = [(parts[depth:], name) for parts, name in self.pictures if len(parts) > depth]
        self.others = [parts[depth:] for parts in self.others if len(parts) > depth]
        self.folders = [parts[depth:] for parts in listing.folders if len(parts) > depth]

    def _around(self, split: str) -> tuple[str, ...]:
        """The folders, each alone in the one before, that hold everything: ``archive/pets`` of archive/pets/train."""
        around: tuple[str, ...] = ()
        least = (0 if split == "." else 1) + (0 if self.labels else 1)  # folders that must be left
        while True:
            depth = len(around)
            inside = [parts for parts, _ in self.pictures if len(parts) > depth + 1]
            tops = {parts[depth] for parts in inside}
            if len(tops) != 1 or max(len(parts) for parts in inside) < depth + 2 + least:
                return around
            top = next(iter(tops))
            if top.casefold() in SPLIT_NAMES or top == split:
                return around
            around = (*around, top)

    def tops(self) -> list[str]:
        """Folders that can be splits: those with class folders, or with pictures where labels are given."""
        least = 2 if self.labels else 3
        return sorted({parts[0] for parts, _ in self.pictures if len(parts) >= least})

    def folder_of(self, split: str) -> str | None:
        """The folder of a split, by its name or another that means the same."""
        tops = self.tops()
        if split in tops:
            return split
        same = next((names for names in SPLITS if split.casefold() in names), (split.casefold(),))
        return next((top for name in same for top in tops if top.casefold() == name), None)

    def inside(self, split: str) -> tuple[str, ...] | None:
        """Parts of the folder that holds a split's class folders; None where there is no such split."""
        if split == ".":
            tops = self.tops()
            if not self.labels and tops and all(top.casefold() in SPLIT_NAMES for top in tops):
                got = f"the splits {', '.join(tops)}"
                raise DataError(message("load", "class/image for split='.'", got, f"Give split={tops[0]!r}."))
            return ()
        folder = self.folder_of(split)
        if folder is None:
            return None
        # A zip named train.zip unpacks into train/train.
        twice = all(parts[1] == folder for parts, _ in self.pictures if parts[0] == folder and len(parts) > 2)
        deep = any(parts[:2] == (folder, folder) and len(parts) > 3 for parts, _ in self.pictures)
        return (folder, folder) if twice and deep and not self.labels else (folder,)

    def below(self, prefix: tuple[str, ...]) -> list[Entry]:
        """The pictures in a folder, by their path below it."""
        depth = len(prefix)
        return [(parts[depth:], name) for parts, name in self.pictures if parts[:depth] == prefix]

    def members(self, split: str) -> list[tuple[str, str]]:
        """Class and name of every picture of a split.

        Raises:
            DataError: When there is no such split, or nothing tells the classes.
        """
        prefix = self.inside(split)
        if prefix is None:
            return self._no_split(split)
        inside = self.below(prefix)
        if self.labels is not None:
            return labelled(inside, self.labels, self.pictures)
        found = [(class_name(parts[0]), name) for parts, name in inside if len(parts) > 1]
        if not found:
            got = f"pictures right in {split!r} and no class folder"
            raise DataError(message("load", LAYOUT, got, "Make one sub-folder per class, or give labels=."))
        return found

    def _no_split(self, split: str) -> list[tuple[str, str]]:
        flat = sorted({parts[0] for parts, _ in self.pictures if len(parts) == 2})
        if split in flat:
            got = f"pictures right in {split!r} and no class folder"
            raise DataError(message("load", LAYOUT, got, "Make one sub-folder per class, or give labels=."))
        tops = [shown(top) for top in self.tops()]
        hint = f"It has: {listed(tops, 10)}." if tops else "For class folders without a split give split='.'."
        raise DataError(message("load", f"a folder {split!r} in {shown(str(self.archive.path))}", "none", hint))

    def warn_of_left_out(self, split: str, kept: Sequence[str]) -> None:
        """Name the class folders of a split in which nothing can be read, and pictures that are left out."""
        prefix = self.inside(split) or ()
        depth = len(prefix)
        within = [parts[depth:] for parts in self.others if parts[:depth] == prefix]
        beside = [parts[-1] for parts, _ in self.pictures if parts[:depth] == prefix and len(parts) == depth + 1]
        full = {parts[depth] for parts, _ in self.pictures if parts[:depth] == prefix and len(parts) > depth + 1}
        folders = {parts[depth] for parts in self.folders if parts[:depth] == prefix and len(parts) > depth}
        folders |= {parts[0] for parts in within if len(parts) > 1}
        for folder in sorted(folders - full):
            kinds = Counter(suffix(parts) or "no suffix" for parts in within if parts[0] == folder and len(parts) > 1)
            held = listed([f"{count:,} {kind}" for kind, count in sorted(kinds.items())]) or "nothing"
            fate = "has no pictures" if class_name(folder) in kept else "is left out"
            warn(
                f"load: class {shown(folder)!r} of {split!r} {fate}: its folder holds {held}, "
                f"and read are {', '.join(sorted(SUFFIXES))}"
            )
        unread = Counter(suffix(parts) for parts in within if len(parts) > 1 and parts[0] in full)
        some = [f"{count:,} {kind}" for kind, count in sorted(unread.items()) if kind in UNREAD]
        if some:
            warn(f"load: left out pictures of {split!r} of kinds that are not read: {', '.join(some)}")
        if beside:
            names = listed([shown(name) for name in sorted(beside)])
            warn(f"load: left out {counted(len(beside), 'picture')} beside the class folders of {split!r}: {names}")


def find_pictures(path: Path, split: str, classes: Sequence[str] | None, labels: Labels | None = None) -> Found:
    """The files of one split, labelled by the classes asked for, else by those of the training split.

    Raises:
        DataError: When the split or a class is missing, a class is there that training has not, or the layout is
            another.
    """
    tree = Tree(path, split, labels)
    members = tree.members(split)
    counts = Counter(name for name, _ in members)
    trains = split == "." or tree.folder_of("train") == tree.folder_of(split)
    known = None if trains else training_classes(tree, split)  # the class list, where it is another split's
    kept = sorted(counts) if known is None else known
    if classes is not None:
        is_all_there_is = trains or known is not None
        kept = keep_classes(sorted({*kept, *counts, *(() if is_all_there_is else classes)}), classes)
    # training's own classes that are not asked for are left out here as there, without a word
    unknown = {name: count for name, count in sorted(counts.items()) if name not in {*kept, *(known or ())}}
    if unknown and not trains:
        some = listed([f"{name!r} with {counted(count, 'picture')}" for name, count in unknown.items()])
        if classes is None:
            advice = "Rename or remove it, or give classes= to leave it out."
            raise DataError(message("load", f"no class in {split!r} but those of train ({listed(kept)})", some, advice))
        total = counted(sum(unknown.values()), "picture")
        warn(f"load: left out {total} of {split!r}, of classes that classes= does not name: {some}")
    missing = [name for name in kept if name not in counts]
    if missing and not trains and known is None:  # perhaps misspelt: no training split can tell
        warn(f"load: no picture in {split!r} of the classes {listed([repr(name) for name in missing])}")
    if labels is None:
        tree.warn_of_left_out(split, kept)
    number = {name: label for label, name in enumerate(kept)}
    chosen = [(name, number[kind]) for kind, name in members if kind in number]
    if not chosen:
        got = f"those of {listed(sorted(counts))}"
        raise DataError(message("load", f"pictures of {listed(kept)} in {split!r}", got))
    return Found(tree.archive, [name for name, _ in chosen], [label for _, label in chosen], kept, known)


def training_classes(tree: Tree, split: str) -> list[str] | None:
    """Classes of the training split; None without one, or where the labels given are another split's."""
    training, labels = tree.folder_of("train"), tree.labels
    if training is None:
        return None
    if labels is None or labels.rows is None:
        return sorted({name for name, _ in tree.members(training)})
    found = row_labels(tree.below(tree.inside(split) or ()), labels.rows, labels.source, tree.pictures)
    return sorted({found[name] for _, name in tree.below((training,)) if name in found}) or None


def splits(source: str | os.PathLike[str]) -> tuple[str, ...]:
    """The splits of an image folder or a zip of one; none for class folders without splits (``split="."``).

    Raises:
        DataError: When the source is no folder or zip, or holds no picture.
    """
    tops = Tree(existing("splits", source, "an existing folder or zip"), "train").tops()
    return tuple(tops) if any(top.casefold() in SPLIT_NAMES for top in tops) else ()


def has_split(path: Path, split: str, labels: Labels | None = None) -> bool:
    """Whether a folder or zip has a split, by this name or another that means the same (``"valid"`` for ``"val"``)."""
    try:
        return split == "." or Tree(path, split, labels).folder_of(split) is not None
    except DataError:
        return False
