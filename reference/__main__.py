"""python -m reference: writes the generated parts of docs/."""

from __future__ import annotations

from reference.pages import ROOT, outdated


def main() -> None:
    """Write what has changed, and name it."""
    for path, text in outdated().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        print(path.relative_to(ROOT))


if __name__ == "__main__":
    main()
