"""Where delays, work and sizes come from: distributions as a scenario writes them, and cheap endless draws from them.

Each has a `mean` in the unit of what is drawn. Draws come in blocks from a generator of their own, so the n-th draw is
the same whatever else happens in the run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import repeat
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np
import numpy.typing as npt

from voxpool.scheduler.errors import ConfigError
from voxpool.scheduler.small_file import read_small

BLOCK = 1024
"""Draws a block; it changes the speed, not the draws."""

Floats = npt.NDArray[np.float64]
Draw = Callable[[], float]

Mean = Annotated[float, msgspec.Meta(ge=0, description="the mean")]


class _Distribution(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="dist", tag=str.lower):
    """Base of all: `dist` is the class's name in lower case."""

    def block(self, rng: np.random.Generator, count: int) -> Floats:
        """Return the next `count` draws."""
        raise NotImplementedError


class Even(_Distribution, frozen=True):
    """Always the mean; with `spread` s evenly spread over mean × (1 ± s)."""

    mean: Mean
    """The mean."""
    spread: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.0
    """Half of the width, as a share of the mean."""

    def block(self, rng: np.random.Generator, count: int) -> Floats:
        return rng.uniform(self.mean * (1 - self.spread), self.mean * (1 + self.spread), count)


class Exponential(_Distribution, frozen=True):
    """Memoryless: the work of M/M/c."""

    mean: Mean
    """The mean."""

    def block(self, rng: np.random.Generator, count: int) -> Floats:
        return rng.exponential(self.mean, count)


class Lognormal(_Distribution, frozen=True):
    """Skewed, never negative; `cv` = standard deviation / mean."""

    mean: Mean
    """The mean."""
    cv: Annotated[float, msgspec.Meta(gt=0)] = 1.0
    """Standard deviation / mean."""

    def block(self, rng: np.random.Generator, count: int) -> Floats:
        sigma2 = np.log1p(self.cv**2)
        return self.mean * rng.lognormal(-sigma2 / 2, np.sqrt(sigma2), count)


class Gamma(_Distribution, frozen=True):
    """From nearly constant (`cv` near 0) over exponential (1) to bursty; `cv` = standard deviation / mean."""

    mean: Mean
    """The mean."""
    cv: Annotated[float, msgspec.Meta(gt=0)] = 0.5
    """Standard deviation / mean."""

    def block(self, rng: np.random.Generator, count: int) -> Floats:
        shape = 1 / self.cv**2
        return rng.gamma(shape, self.mean / shape, count)


class Pareto(_Distribution, frozen=True):
    """A heavy tail from mean × (shape - 1) / shape upwards; a smaller `shape` is heavier (up to 2: no variance)."""

    mean: Mean
    """The mean."""
    shape: Annotated[float, msgspec.Meta(gt=1)] = 2.5
    """How heavy the tail is: smaller is heavier."""

    def block(self, rng: np.random.Generator, count: int) -> Floats:
        least = self.mean * (self.shape - 1) / self.shape
        return least * (1 + rng.pareto(self.shape, count))


class Empirical(_Distribution, frozen=True):
    """One of the values in `file` (numbers, one a line) each time; `mean` scales them to another mean."""

    file: str = ""
    """Its path, from the folder of the scenario."""
    mean: Mean | None = None
    """Scales the values to this mean."""
    values: tuple[Annotated[float, msgspec.Meta(ge=0)], ...] = ()
    """The values themselves, in place of a file; load_file() fills it."""

    def block(self, rng: np.random.Generator, count: int) -> Floats:
        values = np.asarray(self.values)
        scale = 1.0 if self.mean is None else self.mean / float(values.mean())
        return rng.choice(values, count) * scale


Distribution = Even | Exponential | Lognormal | Gamma | Pareto | Empirical
NAMES = ("even", "exponential", "lognormal", "gamma", "pareto", "empirical")


def draws(distribution: Distribution, rng: np.random.Generator, scale: float = 1.0) -> Draw:
    """Return a function that gives the next draw, times `scale`, at each call; about 40 ns each."""
    if isinstance(distribution, Even) and not distribution.spread:
        return repeat(distribution.mean * scale).__next__
    return _blocks(distribution, rng, scale).__next__


def _blocks(distribution: Distribution, rng: np.random.Generator, scale: float) -> Iterator[float]:
    while True:
        yield from (distribution.block(rng, BLOCK) * scale).tolist()


def is_zero(distribution: Distribution) -> bool:
    """True when every draw is 0."""
    return isinstance(distribution, Even) and distribution.mean == 0


def load_file(distribution: Any, folder: Path, anywhere: bool = False) -> Any:
    """Return an empirical distribution with the values of its file in `folder`, any other as it is.

    `anywhere` lets the file lead out of the folder, for one that a person named on the command line. Raises ConfigError
    when the file can't be read, is too large, is empty or holds anything but numbers of 0 and above.
    """
    if not isinstance(distribution, Empirical) or distribution.values:
        return distribution
    if not distribution.file:
        raise ConfigError("an empirical distribution wants a file, or values of its own")
    path = folder / distribution.file
    if not (anywhere or path.resolve().is_relative_to(folder.resolve())):
        raise ConfigError(f"file = {distribution.file!r}: must be in the folder {folder} of the file that names it")
    try:
        values = tuple(float(word) for word in read_small(path, regular=True).decode("ascii", "replace").split())
    except ValueError as error:
        raise ConfigError(f"{path}: wants numbers, one a line: {error}") from None
    if not values or not all(0 <= value < float("inf") for value in values):
        raise ConfigError(f"{path}: wants at least one number, and none below 0")
    if distribution.mean is not None and not sum(values):
        raise ConfigError(f"{path}: all values are 0 and can't be scaled to a mean of {distribution.mean}")
    return msgspec.structs.replace(distribution, values=values)


def variation(distribution: Distribution) -> float:
    """Return the standard deviation by the mean (infinite for a Pareto of shape 2 and below); 0 for a mean of 0."""
    match distribution:
        case Even(spread=spread):
            return spread / 3**0.5
        case Exponential():
            return 1.0
        case Lognormal(cv=cv) | Gamma(cv=cv):
            return cv
        case Pareto(shape=shape):
            return (shape * (shape - 2)) ** -0.5 if shape > 2 else float("inf")
        case Empirical(values=values):
            mean = float(np.mean(values))
            return float(np.std(values)) / mean if mean else 0.0
