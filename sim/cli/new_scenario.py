"""`voxpool-sim scenario --new`: writes a template of a scenario in which each key is explained."""

from __future__ import annotations

from pathlib import Path

from voxpool.scheduler.errors import ConfigError

TEMPLATE = Path(__file__).parents[1] / "scenario" / "new.toml"


def write_new(file: Path) -> None:
    """Write the template to `file`. Raises ConfigError when the file exists or can't be written."""
    try:
        with file.open("x", encoding="utf-8") as opened:
            opened.write(TEMPLATE.read_text(encoding="utf-8"))
    except FileExistsError:
        raise ConfigError(f"{file}: exists already; choose another name") from None
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror}") from None
