"""Adapts Locust's web form to a load run: fields in the order of the groups, and always our shape."""

from __future__ import annotations

from typing import Any

from flask import request
from werkzeug.datastructures import MultiDict

from voxpool.loadtest.running._part import Context


def fit_the_form(context: Context) -> None:
    """Let the web form show the options in our order, and start tests with our shape only."""
    app = context.web_ui.app
    app.jinja_env.policies["json.dumps_kwargs"] = {"sort_keys": False}  # the form then keeps the order of fields

    def keep_the_shape() -> None:
        """Replace `Default` of the class picker, which means no shape, by our shape."""
        if "shape_class" in request.form:
            form: Any = MultiDict(request.form)
            form["shape_class"] = next(iter(context.environment.available_shape_classes))
            request.form = form

    app.before_request(keep_the_shape)
