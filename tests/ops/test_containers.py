"""Dockerfile and docker-compose.yml, as far as possible without Docker: named files exist, commands are valid."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.e2e.processes import Scheduler
from tests.ops.command_lines import flags_of, settings_of
from tests.ops.monitoring import OPS, PROMETHEUS_FILE
from tests.packaging.only_extras import distributions_of
from tests.tidy.dependencies import pinned
from voxpool.scheduler.config import Settings

ROOT = OPS.parent
DOCKERFILE = OPS / "Dockerfile"
COMPOSE = OPS / "docker-compose.yml"
OURS = ("scheduler", "node-1", "node-2")
TOKENS = "tokens"
FIRST_START = OPS / "first-start.sh"


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    """Return the services as docker-compose reads the file."""
    command = ["docker-compose", "-f", str(COMPOSE), "config", "--format", "json"]
    read = subprocess.run(command, capture_output=True, text=True, check=False)
    assert read.returncode == 0 and not read.stderr, read.stderr
    found: dict[str, Any] = json.loads(read.stdout)["services"]
    return found


def test_all_services_start(services: dict[str, Any]) -> None:
    assert set(services) == {*OURS, TOKENS, "redis", "prometheus", "alertmanager", "grafana"}
    for name, service in services.items():
        is_ours = name in (*OURS, TOKENS)
        assert ("build" in service) == is_ours
        assert is_ours or re.fullmatch(r"[a-z/]+:v?\d+\.\d+[\w.-]*", service["image"]), "a version, not `latest`"
        for needed, how in service.get("depends_on", {}).items():
            ends = needed == TOKENS
            assert how["condition"] == ("service_completed_successfully" if ends else "service_healthy")
            assert ends == bool(services[needed].get("healthcheck", {}).get("disable")), f"{name} waits for {needed}"


def test_every_mounted_file_exists(services: dict[str, Any]) -> None:
    for service in services.values():
        for volume in service.get("volumes", []):
            if volume["type"] == "bind":  # Docker creates the others
                assert Path(volume["source"]).exists() and volume["read_only"], volume


def test_ports_are_published_to_this_machine_only(services: dict[str, Any]) -> None:
    ports = [port for service in services.values() for port in service.get("ports", [])]
    assert ports and {port["host_ip"] for port in ports} == {"127.0.0.1"}


def test_the_names_in_the_other_files_are_those_of_the_services(services: dict[str, Any]) -> None:
    config = yaml.safe_load(PROMETHEUS_FILE.read_text())
    source = yaml.safe_load((OPS / "grafana/provisioning/datasources/prometheus.yml").read_text())
    places = [
        *config["scrape_configs"][0]["static_configs"][0]["targets"],
        *config["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"],
        source["datasources"][0]["url"].removeprefix("http://"),
        services["scheduler"]["command"][2].removeprefix("redis://").split("/")[0],
        *(services[name]["environment"]["VOXPOOL_URL"].removeprefix("http://") for name in OURS[1:]),
    ]
    ports = {"scheduler": Settings().port, "redis": 6379, "prometheus": 9090, "alertmanager": 9093}
    assert set(places) == {f"{name}:{port}" for name, port in ports.items()}
    provider = yaml.safe_load((OPS / "grafana/provisioning/dashboards/voxpool.yml").read_text())["providers"][0]
    mounted = {volume["target"] for volume in services["grafana"]["volumes"]}
    assert f"{provider['options']['path']}/voxpool.json" in mounted


def test_our_commands_are_valid_and_have_time_to_stop(services: dict[str, Any]) -> None:
    settings = settings_of(services["scheduler"]["command"], docker_environment())
    assert settings.access_file == f"{services[TOKENS]['entrypoint'][2]}/tokens.toml"
    assert settings.store == "redis://redis:6379/0" and settings.host == "0.0.0.0"
    assert seconds(services["scheduler"]["stop_grace_period"]) > settings.drain_s + settings.stop_s
    assert services["scheduler"]["ulimits"]["nofile"] > settings.connections_max
    for name in OURS[1:]:
        node = flags_of(services[name]["command"])
        assert node["node_id"] == name
        assert seconds(services[name]["stop_grace_period"]) > node["drain_s"]


def test_redis_evicts_nothing(services: dict[str, Any]) -> None:
    command = services["redis"]["command"]
    assert command[command.index("--maxmemory-policy") + 1] == "noeviction"


@pytest.mark.parametrize(
    ("service", "program"), [("prometheus", "prometheus"), ("alertmanager", "prometheus-alertmanager")]
)
def test_flags_of_the_other_servers_exist(services: dict[str, Any], service: str, program: str) -> None:
    message = subprocess.run([program, "--help"], capture_output=True, text=True, check=False)
    known = set(re.findall(r"--(?:\[no-\])?([a-z.-]+)", message.stdout + message.stderr))
    assert {flag.split("=")[0].removeprefix("--") for flag in services[service]["command"]} <= known


# ---- the tokens of the first start


def first_start(folder: Path) -> dict[str, str]:
    """Run the script as the service does, with the `voxpool` of this environment; return the contents of each file."""
    path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    for name in ("own", "metrics"):
        (folder / name).mkdir(exist_ok=True)
    command = ["sh", str(FIRST_START), str(folder / "own"), str(folder / "metrics")]
    done = subprocess.run(command, env={"PATH": path}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return {str(file.relative_to(folder)): file.read_text() for file in sorted(folder.rglob("*")) if file.is_file()}


def test_the_first_start_makes_tokens_and_a_later_one_changes_nothing(tmp_path: Path) -> None:
    """The tokens are required, and each file is for its own role."""
    made = first_start(tmp_path)
    assert set(made) == {"own/tokens.toml", "own/admin", "own/client", "own/node", "metrics/token"}
    modes = {name: (tmp_path / name).stat().st_mode & 0o777 for name in made}
    assert modes == {name: 0o444 if name == "metrics/token" else 0o600 for name in made}, "one is read by Prometheus"
    assert first_start(tmp_path) == made
    scheduler = Scheduler(tmp_path, "memory", "--access-file", str(tmp_path / "own" / "tokens.toml"))
    try:

        def status(path: str, name: str | None) -> int:
            headers = {} if name is None else {"authorization": f"Bearer {made[name].strip()}"}
            return httpx.get(scheduler.url + path, headers=headers, trust_env=False).status_code

        assert [status("/v1/jobs", name) for name in (None, "own/client", "own/node")] == [401, 200, 403]
        assert [status("/metrics", name) for name in ("metrics/token", "own/client")] == [200, 403]
        assert status("/v1/nodes", "own/admin") == 200
    finally:
        scheduler.stop()


def test_an_interrupted_first_start_is_repeated(tmp_path: Path) -> None:
    made = first_start(tmp_path)
    (tmp_path / "own" / "tokens.toml").rename(tmp_path / "own" / "new.toml")
    again = first_start(tmp_path)
    assert set(again) == set(made) and not set(again.values()) & set(made.values())


def test_each_service_gets_the_file_of_its_token(services: dict[str, Any]) -> None:
    own, metrics = services[TOKENS]["entrypoint"][2:]

    def mounted(name: str) -> dict[str, Any]:
        return {volume["target"]: volume for volume in services[name]["volumes"]}

    assert mounted(TOKENS)["/first-start.sh"]["source"] == str(FIRST_START)
    for name in OURS:
        assert mounted(name)[own]["read_only"]
    for name in OURS[1:]:
        assert flags_of(services[name]["command"])["token"] == f"@{own}/node"
    assert mounted("prometheus")[metrics]["read_only"] and own not in mounted("prometheus")
    scraping = yaml.safe_load(PROMETHEUS_FILE.read_text())["scrape_configs"][0]
    assert scraping["authorization"]["credentials_file"] == f"{metrics}/token"
    folders = " ".join(instructions("RUN"))
    assert f"-o voxpool -m 700 {own}" in folders and f"-o voxpool -m 755 {metrics}" in folders


# ---- the Dockerfile


def test_the_build_context_has_exactly_the_copied_files() -> None:
    copied = {name for line in instructions("COPY") if "--from" not in line for name in line.split()[:-1]}
    ignore = (OPS / "Dockerfile.dockerignore").read_text().splitlines()
    assert all((ROOT / name).exists() for name in copied)
    assert {line.removeprefix("!") for line in ignore if line.startswith("!")} == copied and "*" in ignore
    build = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    wheel = {name.split("/")[0] for name in build["only-include"]}
    assert wheel | {"pyproject.toml", "README.md", "LICENSE"} <= copied


def test_the_image_is_small_and_not_root() -> None:
    stages = [line.split()[0] for line in instructions("FROM")]
    assert len(stages) == 2 and len(set(stages)) == 1, "an environment moves only between equal Pythons"
    assert re.fullmatch(r"python:3\.\d+-slim", stages[0])
    (user,) = instructions("USER")
    assert int(user) > 0
    assert any("--require-hashes -r requirements.lock" in line for line in instructions("RUN"))
    assert "--no-cache-dir" in DOCKERFILE.read_text()


def test_the_image_has_the_server_and_the_traces() -> None:
    """Its lock has their packages, in the versions that the tests run with."""
    image = pinned((OPS / "requirements.lock").read_text())
    assert image.items() <= pinned((ROOT / "requirements.lock").read_text()).items()
    assert set(image) == distributions_of({"server", "traces"})


def test_the_health_check_distinguishes_a_running_scheduler(tmp_path: Path) -> None:
    (line,) = instructions("HEALTHCHECK")
    command = json.loads(line.partition(" CMD ")[2])
    assert command[0] == "python"

    def ask(port: int) -> int:
        words = [word.replace(str(Settings().port), str(port)) for word in command[1:]]
        return subprocess.run([sys.executable, *words], stderr=subprocess.DEVNULL, check=False).returncode

    scheduler = Scheduler(tmp_path, "memory")
    try:
        assert ask(scheduler.port) == 0
    finally:
        scheduler.stop()
    assert ask(scheduler.port) != 0


def instructions(name: str) -> list[str]:
    """Return the arguments of each instruction `name` of the Dockerfile, with continued lines joined and without
    comments.
    """
    lines = [line for line in DOCKERFILE.read_text().splitlines() if not line.startswith("#")]
    whole = re.sub(r"\s*\\\n\s*", " ", "\n".join(lines))
    return [line.removeprefix(name).strip() for line in whole.splitlines() if line.startswith(name + " ")]


def docker_environment() -> dict[str, str]:
    """Return the VOXPOOL_ variables of the image."""
    return dict(re.findall(r"(VOXPOOL_\w+)=(\S+)", " ".join(instructions("ENV"))))


def seconds(duration: str) -> float:
    """Return a duration of docker-compose, such as 1m10s, in seconds."""
    return sum(float(n) * {"h": 3600, "m": 60, "s": 1}[unit] for n, unit in re.findall(r"([\d.]+)([hms])", duration))
