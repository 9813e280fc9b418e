"""A curl command for each operation of the document, as people paste it into a shell.

The address and the token come from VOXPOOL_URL and VOXPOOL_TOKEN, which the commands of voxpool read too. The caller
writes an id in the place of JOB_ID or NODE_ID.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

TOKEN = '--header "Authorization: Bearer $VOXPOOL_TOKEN"'  # nosec B105  # the name of a variable of the shell
LINE_MAX = 80
_UPGRADE = (
    "--http1.1 --include --no-buffer",
    "--header 'Connection: Upgrade' --header 'Upgrade: websocket'",
    "--header 'Sec-WebSocket-Version: 13' --header 'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=='",
)


def curl_of(method: str, path: str, operation: dict[str, Any]) -> str:
    """Return the command, over several lines where it is long. A body is sent from the file speech.wav."""
    bodies = list(operation.get("requestBody", {}).get("content", {}))
    is_implied = method == "get" or (method == "post" and bodies)
    parts = ["curl" if is_implied else f"curl --request {method.upper()}"]
    if operation.get("security"):
        parts.append(TOKEN)
    if "101" in operation["responses"]:
        parts += _UPGRADE
    if bodies:
        parts += [f"--header 'Content-Type: {bodies[0]}'", "--data-binary @speech.wav"]
    parts.append(f'"$VOXPOOL_URL{_place(path, operation, bool(bodies))}"')
    line = " ".join(parts)
    return line if len(line) <= LINE_MAX else " \\\n  ".join([f"{parts[0]} {parts[1]}", *parts[2:]])


def _place(path: str, operation: dict[str, Any], has_body: bool) -> str:
    """Return the path and the query; a body of plain audio needs the parameters that have an example beside it."""
    query = {}
    for parameter in operation.get("parameters", []):
        name, schema = parameter["name"], parameter["schema"]
        if parameter["in"] == "path":
            path = path.replace(f"{{{name}}}", schema["enum"][0] if "enum" in schema else name.upper())
        elif parameter.get("required") or (has_body and "examples" in schema):
            query[name] = (schema.get("enum") or schema["examples"])[0]
    return path + (f"?{urlencode(query, safe=':')}" if query else "")
