"""The form of Locust's page, made to fit a load run: its fields in the order of the groups, and always our shape."""

from __future__ import annotations

from typing import Any

from flask import request
from werkzeug.datastructures import MultiDict

from voxpool.loadtest.running._part import Context


def fit_the_form(context: Context) -> None:
    """Have the form of this process show the options in our order, and start tests with our shape alone."""
    app = context.web_ui.app
    app.jinja_env.policies["json.dumps_kwargs"] = {"sort_keys": False}  # the form shows the fields as they come

    def keep_the_shape() -> None:
        """Answer `Default`, which the class picker offers for no shape at all, with the one there is."""
        if "shape_class" in request.form:
            form: Any = MultiDict(request.form)
            form["shape_class"] = next(iter(context.environment.available_shape_classes))
            request.form = form

    app.before_request(keep_the_shape)
