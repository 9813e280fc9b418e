"""Locust as a user starts it, but its report has no pictures: to draw them takes as long as all else of a short run."""

from unittest.mock import patch

from locust import main

from voxpool.loadtest.report import _page

if __name__ == "__main__":
    with patch.object(_page, "pictures_of", lambda report: ()):
        main.main()  # type: ignore[no-untyped-call]
