"""Makes the Grafana dashboard of panels.py: three panels a row, variables for the data source and the schedulers."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ops.panels import ROWS, Panel

DASHBOARD = Path(__file__).parent / "grafana" / "voxpool.json"
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
WIDTH, HEIGHT, COLUMNS = 8, 8, 3
SCHEMA = 39
"""The schema of Grafana 10.4; later versions migrate it when they load it."""
_METRIC = re.compile(r"\b(voxpool_\w+)(\{)?")


def dashboard() -> str:
    """Return the dashboard as JSON."""
    whole = {
        "uid": "voxpool",
        "title": "voxpool",
        "description": "Written by `python -m ops.render` from ops/panels.py. What to look at when: ops/README.md.",
        "tags": ["voxpool"],
        "schemaVersion": SCHEMA,
        "refresh": "10s",
        "time": {"from": "now-1h", "to": "now"},
        "timezone": "browser",
        "graphTooltip": 1,  # one cursor over all panels
        "links": [],
        "templating": {"list": [_source_variable(), _instance_variable()]},
        "panels": list(_panels()),
    }
    return json.dumps(whole, indent=1) + "\n"


def here(expression: str) -> str:
    """Return `expression` restricted to the schedulers selected in the dashboard."""
    return _METRIC.sub(lambda m: f'{m[1]}{{instance=~"$instance"' + (", " if m[2] else "}"), expression)


def _panels() -> Iterator[dict[str, Any]]:
    number, top = 0, 0
    for title, panels in ROWS.items():
        number += 1
        yield {
            "id": number,
            "type": "row",
            "title": title,
            "collapsed": False,
            "panels": [],
            "gridPos": {"x": 0, "y": top, "w": WIDTH * COLUMNS, "h": 1},
        }
        top += 1
        for place, panel in enumerate(panels):
            number += 1
            row, column = divmod(place, COLUMNS)
            yield _panel(panel, number, WIDTH * column, top + HEIGHT * row)
        top += HEIGHT * -(-len(panels) // COLUMNS)


def _panel(panel: Panel, number: int, x: int, y: int) -> dict[str, Any]:
    drawn = {"lineWidth": 1, "fillOpacity": 40 if panel.stacked else 8, "showPoints": "never"}
    return {
        "id": number,
        "type": "timeseries",
        "title": panel.title,
        "description": panel.text,
        "datasource": SOURCE,
        "gridPos": {"x": x, "y": y, "w": WIDTH, "h": HEIGHT},
        "fieldConfig": {
            "defaults": {
                "unit": panel.unit,
                "min": 0,
                "custom": drawn | ({"stacking": {"mode": "normal", "group": "A"}} if panel.stacked else {}),
            },
            "overrides": [],
        },
        "options": {
            "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
            "tooltip": {"mode": "multi", "sort": "desc"},
        },
        "targets": [
            {
                "refId": chr(ord("A") + place),
                "datasource": SOURCE,
                "expr": here(query.expression),
                "legendFormat": query.legend,
                "exemplar": query.exemplars,
            }
            for place, query in enumerate(panel.queries)
        ],
    }


def _source_variable() -> dict[str, Any]:
    return {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus"}


def _instance_variable() -> dict[str, Any]:
    return {
        "name": "instance",
        "label": "Scheduler",
        "type": "query",
        "datasource": SOURCE,
        "query": "label_values(voxpool_build_info, instance)",
        "refresh": 2,  # whenever the time range changes
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": "All", "value": "$__all"},
    }
