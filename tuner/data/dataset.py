"""A data set of any kind: three splits, who may see which of them, and a fingerprint by which it is known again."""

from __future__ import annotations

from collections.abc import Mapping, Sized
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from tuner.data.fingerprint import fingerprint


@dataclass(frozen=True)
class SearchData:
    """What a trial may see. It has no test split, on purpose: nothing can be tuned on it by accident."""

    train: Any
    dev: Any

    def fingerprint(self) -> str:
        """Return the hash of the content, by which a copy on another machine is known to be whole.

        Raises:
            DataError: if the splits hold something of which no hash can be told.
        """
        return fingerprint([self.train, self.dev])


@dataclass(frozen=True)
class Dataset:
    """A data set and where it came from.

    A split is anything that can be pickled: NumPy arrays (which all trials of a machine share without a copy), frames,
    a data set of torch's or Hugging Face's, or only paths, for data that no memory holds.
    """

    train: Any
    dev: Any
    """What trials are compared by."""
    test: Any = None
    """What is measured once, when everything is chosen; None if there is none."""
    name: str = "data"
    fingerprint: str | None = None
    """Another one is another data set. If none is given it is computed from the content; see `tuner.data.fingerprint`.
    """
    notice: str | None = None
    """What the user must be told loudly, for example that this is not the data set he hoped for."""
    hashes: Mapping[str, str] = field(default_factory=dict)
    """Of data with files of its own: file name to md5, or part to sha256. They take the place of the fingerprint."""

    @cached_property
    def identity(self) -> dict[str, str]:
        """What tells this data set from another.

        Raises:
            DataError: if no fingerprint was given and none can be computed.
        """
        if self.hashes:
            return dict(self.hashes)
        return {"fingerprint": self.fingerprint or fingerprint([self.train, self.dev, self.test])}

    @property
    def has_own_fingerprint(self) -> bool:
        """Whether its author gave the fingerprint, as for data whose content is too much to read."""
        return self.fingerprint is not None

    @property
    def splits(self) -> dict[str, Any]:
        """The splits there are, by name."""
        return {name: split for name in ("train", "dev", "test") if (split := getattr(self, name)) is not None}

    @property
    def sizes(self) -> dict[str, int | None]:
        """How many examples each split has, as far as it tells."""
        return {name: _size(split) for name, split in self.splits.items()}

    def search_data(self) -> SearchData:
        """Return the part that trials may see."""
        return SearchData(self.train, self.dev)


def _size(split: Any) -> int | None:
    """Return the number of examples, None if it does not tell: a path has none.

    A tuple of parts, such as inputs and labels, and a dictionary of them have as many as the first part.
    """
    parts = tuple(split.values()) if isinstance(split, Mapping) else split
    counted = parts[0] if isinstance(parts, tuple) and parts else split
    return len(counted) if isinstance(counted, Sized) and not isinstance(counted, str | bytes) else None
