"""The setting `store` as it may be shown."""

from __future__ import annotations

import re


def without_password(spec: str) -> str:
    """Return the setting `store` as it may be shown."""
    return re.sub(r"(?<=password=)[^&]*", "***", re.sub(r"//[^/]*@", "//***@", spec))
