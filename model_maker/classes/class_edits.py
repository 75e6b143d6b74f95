"""Edits of a model's classes, checked against its labels before any work."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from model_maker.errors import DataError


@dataclass(frozen=True)
class Merged:
    """Classes to merge, and the name of the resulting class."""

    names: tuple[str, ...]
    into: str


@dataclass(frozen=True)
class Edits:
    """Edits of a model's classes, applied in this order: classes that were added come last.

    `merge` has groups of classes, `rename` maps old names to new ones, `more` and `add` have photos by name.
    """

    remove: tuple[str, ...] = ()
    merge: tuple[Merged, ...] = ()
    rename: tuple[tuple[str, str], ...] = ()
    more: tuple[tuple[str, str], ...] = ()
    add: tuple[tuple[str, str], ...] = ()

    def as_dict(self) -> dict[str, object]:
        """Returns JSON types with names only, because photos do not belong in a file's provenance."""
        return {
            "remove": list(self.remove),
            "merge": {one.into: list(one.names) for one in self.merge},
            "rename": dict(self.rename),
            "more": [name for name, _ in self.more],
            "add": [name for name, _ in self.add],
        }


Photos = str | os.PathLike[str]


def gather(
    *,
    add: Mapping[str, Photos] | None,
    more: Mapping[str, Photos] | None,
    remove: Iterable[str],
    rename: Mapping[str, str] | None,
    merge: Mapping[str, Sequence[str]] | None,
) -> Edits:
    """Returns the edits from the arguments of `edit_classes`.

    Raises:
      DataError: there are none.
    """
    edits = Edits(
        tuple([remove] if isinstance(remove, str) else remove),
        tuple(Merged(tuple(names), into) for into, names in (merge or {}).items()),
        tuple((rename or {}).items()),
        tuple((name, os.fspath(photos)) for name, photos in (more or {}).items()),
        tuple((name, os.fspath(photos)) for name, photos in (add or {}).items()),
    )
    if edits == Edits():
        raise DataError("Nothing to edit: pass at least one edit, `add`, `more`, `remove`, `rename` or `merge`.")
    return edits


def check(edits: Edits, labels: Sequence[str]) -> tuple[str, ...]:
    """Returns the labels after the edits.

    Raises:
      DataError: a class does not exist, a label already exists or is invalid, or too few classes are left.
    """
    left = list(labels)

    def take(name: str, option: str) -> int:
        if name not in left:
            known = ", ".join(left[:8]) + (" ..." if len(left) > 8 else "")
            raise DataError(f"`{option}={name}`: the model has no class of that name. It has {known}.")
        return left.index(name)

    def new(name: str, option: str) -> str:
        if not name.strip() or name != name.strip() or not name.isprintable():
            raise DataError(f"`{option}={name!r}`: a label is one line of text that is not empty. Give another name.")
        if name in left:
            raise DataError(f"`{option}={name}`: the model has a class of that name already. Give another name.")
        return name

    for name in edits.remove:
        del left[take(name, "remove")]
    for one in edits.merge:
        places = [take(name, "merge") for name in one.names]
        if len(set(places)) < 2:
            raise DataError(f"`merge={','.join(one.names)}={one.into}`: give two or more different classes to merge.")
        left = [name for name in left if name not in one.names]
        left.insert(min(places), new(one.into, "merge"))
    for old, name in edits.rename:
        place = take(old, "rename")
        left[place] = new(name, "rename")
    for name, _ in edits.more:
        take(name, "more")
    for name, _ in edits.add:
        left.append(new(name, "add"))
    if len(left) < 2:
        raise DataError(f"{len(left)} class would be left; a classifier needs two. Remove or merge fewer.")
    return tuple(left)
