"""Distributions of delays, work and sizes as a scenario specifies them, and fast unlimited draws from them.

Each has a `mean` in the unit of the drawn value. Draws come in blocks from a separate generator, so the n-th draw does
not depend on what else happens in the run.
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
"""Number of draws in a block; it affects the speed only."""

Floats = npt.NDArray[np.float64]
Draw = Callable[[], float]

Mean = Annotated[float, msgspec.Meta(ge=0, description="the mean")]


class _Distribution(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="dist", tag=str.lower):
    """Base of all distributions: `dist` is the class's name in lower case."""

    def block(self, rng: np.random.Generator, count: int) -> Floats:
        """Return the next `count` draws."""
        raise NotImplementedError


class Even(_Distribution, frozen=True):
    """The constant mean; with `spread` s, uniform over mean × (1 ± s)."""

    mean: Mean
    """The mean."""
    spread: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.0
    """Half of the width divided by the mean."""

    def block(self, rng: np.random.Generator, count: int) -> Floats:
        return rng.uniform(self.mean * (1 - self.spread), self.mean * (1 + self.spread), count)


class Exponential(_Distribution, frozen=True):
    """Memoryless; the work of an M/M/c queue."""

    mean: Mean
    """The mean."""

    def block(self, rng: np.random.Generator, count: int) -> Floats:
        return rng.exponential(self.mean, count)


class Lognormal(_Distribution, frozen=True):
    """Skewed and never negative; `cv` = standard deviation / mean."""

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
    """A random one of the values in `file` (one number per line); `mean` scales them to another mean."""

    file: str = ""
    """Path of the file, relative to the folder of the scenario."""
    mean: Mean | None = None
    """Mean to which the values are scaled."""
    values: tuple[Annotated[float, msgspec.Meta(ge=0)], ...] = ()
    """The values, in place of a file; load_file() fills it."""

    def block(self, rng: np.random.Generator, count: int) -> Floats:
        values = np.asarray(self.values)
        scale = 1.0 if self.mean is None else self.mean / float(values.mean())
        return rng.choice(values, count) * scale


Distribution = Even | Exponential | Lognormal | Gamma | Pareto | Empirical
NAMES = ("even", "exponential", "lognormal", "gamma", "pareto", "empirical")


def draws(distribution: Distribution, rng: np.random.Generator, scale: float = 1.0) -> Draw:
    """Return a function that returns the next draw, multiplied by `scale`; a call takes about 40 ns."""
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
    """Return an empirical distribution with the values of its file in `folder`; return any other unchanged.

    `anywhere` accepts a file outside the folder, for one named on the command line. Raises ConfigError when the file
    can't be read, is too large, is empty or contains anything but numbers >= 0.
    """
    if not isinstance(distribution, Empirical) or distribution.values:
        return distribution
    if not distribution.file:
        raise ConfigError("an empirical distribution needs a file or values")
    path = folder / distribution.file
    if not (anywhere or path.resolve().is_relative_to(folder.resolve())):
        raise ConfigError(f"file = {distribution.file!r}: must be in the folder {folder} of the file that names it")
    try:
        values = tuple(float(word) for word in read_small(path, regular=True).decode("ascii", "replace").split())
    except ValueError as error:
        raise ConfigError(f"{path}: must contain one number per line: {error}") from None
    if not values or not all(0 <= value < float("inf") for value in values):
        raise ConfigError(f"{path}: must contain at least one number, and none below 0")
    if distribution.mean is not None and not sum(values):
        raise ConfigError(f"{path}: all values are 0 and can't be scaled to a mean of {distribution.mean}")
    return msgspec.structs.replace(distribution, values=values)


def variation(distribution: Distribution) -> float:
    """Return standard deviation / mean (infinite for a Pareto of shape <= 2); 0 when the mean is 0."""
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
