"""The manifests of ops/kubernetes as kustomize builds them: valid for the API, consistent, with settings that exist."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from tests.ops.command_lines import flags_of, settings_of
from tests.ops.monitoring import OPS, PROMETHEUS_FILE
from tests.ops.test_containers import docker_environment, seconds
from tests.servers import RedisServer
from voxpool.scheduler.config import Settings
from voxpool.scheduler.config_sources import NOT_SETTINGS
from voxpool.scheduler.security.private_file import FORBIDDEN_MODE
from voxpool.scheduler.stores.cluster.addresses import address_of

FOLDER = OPS / "kubernetes"
VERSIONS = ("1.32", kubernetes_validate.latest_version())
"""The oldest version with all fields in use, and the newest."""
BUILDS = {"one": (), "three": (), "one with hpa": ("hpa",), "three with keda": ("keda",)}
"""Name, which begins with that of an overlay -> its components."""
FOREIGN = {"ScaledObject"}
"""Kinds that are no part of Kubernetes."""
Manifests = dict[tuple[str, str], dict[str, Any]]


@pytest.fixture(scope="module", params=BUILDS)
def built(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Manifests:
    """Return the manifests of a build by kind and name."""
    return build(tmp_path_factory.mktemp("overlay"), request.param)


def build(folder: Path, name: str) -> Manifests:
    """Build an overlay with its components, as one of a user's does."""

    def path(part: str) -> str:
        return os.path.relpath(FOLDER / part, folder.resolve())

    overlay = {"resources": [path(name.split()[0])], "components": [path(part) for part in BUILDS[name]]}
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(overlay))
    made = subprocess.run(["kustomize", "build", str(folder)], capture_output=True, text=True, check=False)
    assert made.returncode == 0 and not made.stderr, made.stderr
    manifests = list(yaml.safe_load_all(made.stdout))
    found = {(each["kind"], each["metadata"]["name"]): each for each in manifests}
    assert len(found) == len(manifests)
    return found


@pytest.mark.parametrize("version", VERSIONS)
def test_every_manifest_is_valid(built: Manifests, version: str) -> None:
    for (kind, _), manifest in built.items():
        if kind not in FOREIGN:
            kubernetes_validate.validate(manifest, version, strict=True)


def test_a_misspelled_field_is_found(built: Manifests) -> None:
    wrong = yaml.safe_load(yaml.safe_dump(built["Deployment", "node"]))
    wrong["spec"]["template"]["spec"]["containers"][0]["readynessProbe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, VERSIONS[-1], strict=True)


def test_the_scheduler_has_valid_settings_and_time_to_drain(built: Manifests) -> None:
    pod = pod_of(built["Deployment", "scheduler"])
    (container,) = pod["containers"]
    environment = {each["name"]: each["value"] for each in container["env"]}
    names = {name.removeprefix("VOXPOOL_").lower() for name in environment if name not in NOT_SETTINGS}
    assert names <= set(Settings.__struct_fields__), "docs/reference/settings.md has them all"
    settings = settings_of(container["args"], {**docker_environment(), **environment})
    replicas = built["Deployment", "scheduler"]["spec"]["replicas"]
    assert (settings.jobs, replicas) in (("memory", 1), ("redis", 3))
    before_s = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert before_s > container["readinessProbe"]["periodSeconds"], "it leaves the Service before SIGTERM"
    assert pod["terminationGracePeriodSeconds"] > before_s + settings.drain_s + settings.stop_s
    assert gib(container["resources"]["limits"]["memory"]) * 2**30 > settings.audio_total_bytes_max
    assert container["ports"][0]["containerPort"] == settings.port


def test_nodes_have_a_valid_command_and_time_to_drain(built: Manifests) -> None:
    pod = pod_of(built["Deployment", "node"])
    (container,) = pod["containers"]
    flags = flags_of(container["args"])
    assert pod["terminationGracePeriodSeconds"] > flags["drain_s"]
    assert flags["health_port"] == container["ports"][0]["containerPort"] and flags["health_host"] == "0.0.0.0"
    assert flags["node_id"] == "$(POD)", "a name of its own"
    (url,) = (each["value"] for each in container["env"] if each["name"] == "VOXPOOL_URL")
    assert url == f"http://scheduler:{Settings().port}" and ("Service", "scheduler") in built


def test_probes_ask_ports_that_the_containers_open(built: Manifests) -> None:
    for name in ("scheduler", "node"):
        (container,) = pod_of(built["Deployment", name])["containers"]
        ports = {port["name"] for port in container["ports"]}
        probes = {probe: container[f"{probe}Probe"]["httpGet"] for probe in ("startup", "liveness", "readiness")}
        assert {get["port"] for get in probes.values()} <= ports
        assert [get["path"] for get in probes.values()] == ["/healthz", "/healthz", "/readyz"]


def test_every_selector_matches_a_pod_and_every_workload_of_several_pods_has_a_budget(built: Manifests) -> None:
    labels = [pod["metadata"]["labels"] for pod in templates(built)]
    selectors = [each["spec"]["selector"] for each in of_kind(built, "Service")]
    budgets = [each["spec"]["selector"]["matchLabels"] for each in of_kind(built, "PodDisruptionBudget")]
    for selector in (*selectors, *budgets):
        assert any(selector.items() <= each.items() for each in labels), selector
    for workload in (*of_kind(built, "Deployment"), *of_kind(built, "StatefulSet")):
        if workload["spec"].get("replicas", 2) > 1:
            labels_of_it = workload["spec"]["template"]["metadata"]["labels"]
            assert any(budget.items() <= labels_of_it.items() for budget in budgets), workload["metadata"]["name"]


def test_secrets_and_volumes_are_mounted_where_they_are_read(built: Manifests) -> None:
    for template in templates(built):
        pod = template["spec"]
        volumes = {each["name"]: each for each in pod.get("volumes", [])}
        for container in pod["containers"]:
            assert container["securityContext"]["readOnlyRootFilesystem"], "its volumes are all that it writes"
            for mount in container.get("volumeMounts", []):
                assert mount["name"] in volumes or mount["name"] == "data"
        for volume in volumes.values():
            if "secret" in volume:
                assert not volume["secret"]["defaultMode"] & FORBIDDEN_MODE
                assert {item["key"] for item in volume["secret"]["items"]} <= {"tokens.toml", "node"}


def test_the_image_is_a_version_of_a_registry(built: Manifests) -> None:
    for template in templates(built):
        for container in template["spec"]["containers"]:
            assert re.fullmatch(r"(registry\.example\.com/voxpool|redis):\d+\.\d+[\w.-]*", container["image"])


def test_the_schedulers_know_members_of_the_redis_cluster_and_outlive_a_fail_over(tmp_path: Path) -> None:
    built = build(tmp_path, "three")
    environment = {
        each["name"]: each["value"] for each in pod_of(built["Deployment", "scheduler"])["containers"][0]["env"]
    }
    members = built["StatefulSet", "redis"]["spec"]
    names = {f"redis-{number}.{members['serviceName']}" for number in range(members["replicas"])}
    assert {host.host for host in address_of(environment["VOXPOOL_STORE"]).hosts} <= names
    timeout_ms = int(re.findall(r"cluster-node-timeout (\d+)", (FOLDER / "three" / "redis.conf").read_text())[0])
    assert float(environment["VOXPOOL_SCHEDULER_LEASE_S"]) >= 3 * timeout_ms / 1000


def test_a_real_redis_starts_with_the_configuration(tmp_path: Path) -> None:
    lines = (FOLDER / "three" / "redis.conf").read_text().replace("/data", str(tmp_path)).splitlines()
    words = [line.split(" ", 1) for line in lines if line and not line.startswith("#")]
    flags = [word for name, value in words for word in (f"--{name}", "" if value == '""' else value)]
    server = RedisServer(tmp_path, *flags)
    try:
        server.start()
    finally:
        server.kill()


@pytest.mark.parametrize("name", [name for name, parts in BUILDS.items() if parts])
def test_the_fleet_is_scaled_by_a_metric_that_exists(name: str, tmp_path: Path) -> None:
    """The scaled pairs are those of the nodes, the number of replicas is the autoscaler's, and it is never 0."""
    built = build(tmp_path, name)
    node = built["Deployment", "node"]
    assert "replicas" not in node["spec"]
    (scaler,) = [*of_kind(built, "HorizontalPodAutoscaler"), *of_kind(built, "ScaledObject")]
    spec = scaler["spec"]
    assert spec["scaleTargetRef"]["name"] == "node"
    assert spec.get("minReplicas", spec.get("minReplicaCount")) >= 1
    text = yaml.safe_dump(spec)
    (metric,) = set(re.findall(r"voxpool_\w+", text))
    assert f"`{metric}`" in (OPS.parent / "docs" / "reference" / "metrics.md").read_text()
    pairs = flags_of(pod_of(node)["containers"][0]["args"])["pairs"].split(",")
    assert set(re.findall(r"\b[a-z]{2}:[a-z]{2}\b", text)) == set(pairs)


def test_three_schedulers_of_compose_share_one_redis() -> None:
    services = services_of("docker-compose.yml", "three-schedulers.yml")
    schedulers = [name for name in services if name.startswith("scheduler")]
    assert len(schedulers) == 3
    found = [settings_of(services[n]["command"], docker_environment() | services[n]["environment"]) for n in schedulers]
    assert all(each == found[0] for each in found) and found[0].jobs == "redis"
    assert seconds(services["scheduler-3"]["stop_grace_period"]) > found[0].drain_s + found[0].stop_s
    urls = {services[name]["environment"]["VOXPOOL_URL"] for name in services if name.startswith("node")}
    assert urls == {f"http://{name}:5010" for name in schedulers}
    ports = [port["published"] for name in schedulers for port in services[name]["ports"]]
    assert len(set(ports)) == 3
    command = services["redis"]["command"]
    assert command[command.index("--appendonly") + 1] == "yes"
    assert command[command.index("--maxmemory-policy") + 1] == "noeviction"


def test_prometheus_of_compose_scrapes_each_of_three_schedulers() -> None:
    one, three = services_of("docker-compose.yml"), services_of("docker-compose.yml", "three-schedulers.yml")
    began = [services["prometheus"]["command"] for services in (one, three)]
    assert [word.replace("three-schedulers.yml", "prometheus.yml") for word in began[1]] == began[0]
    (flag,) = set(began[1]) - set(began[0])
    config = yaml.safe_load(PROMETHEUS_FILE.read_text())
    (static,) = config["scrape_configs"][0]["static_configs"]
    static["targets"] = [f"{name}:{Settings().port}" for name in three if name.startswith("scheduler")]
    assert yaml.safe_load(PROMETHEUS_FILE.with_name(Path(flag).name).read_text()) == config


def test_prometheus_of_a_cluster_scrapes_exactly_the_pods_of_the_schedulers(built: Manifests) -> None:
    config = yaml.safe_load(PROMETHEUS_FILE.with_stem("kubernetes").read_text())["scrape_configs"][0]
    keep = config["relabel_configs"][0]
    assert keep["action"] == "keep"
    ports = []
    for pod in templates(built):
        meta = "__meta_kubernetes_pod"
        name, value = next(item for item in pod["metadata"]["labels"].items() if item[0].endswith("/name"))
        label = {f"{meta}_label_{re.sub('[^a-z]', '_', name)}": value}
        for port in (port for container in pod["spec"]["containers"] for port in container.get("ports", [])):
            found = {**label, f"{meta}_container_port_name": port["name"]}
            if re.fullmatch(keep["regex"], ";".join(found[label] for label in keep["source_labels"])):
                ports.append(port["containerPort"])
    assert ports == [Settings().port]
    assert config["kubernetes_sd_configs"][0]["namespaces"]["names"] == [
        built["Deployment", "scheduler"]["metadata"]["namespace"]
    ]


def services_of(*files: str) -> dict[str, Any]:
    """Return the services of compose files as docker-compose reads them together."""
    command = ["docker-compose", *(word for file in files for word in ("-f", str(OPS / file))), "config"]
    read = subprocess.run(command, capture_output=True, text=True, check=False)
    assert read.returncode == 0 and not read.stderr, read.stderr
    services: dict[str, Any] = yaml.safe_load(read.stdout)["services"]
    return services


def pod_of(workload: dict[str, Any]) -> dict[str, Any]:
    pod: dict[str, Any] = workload["spec"]["template"]["spec"]
    return pod


def templates(built: Manifests) -> list[dict[str, Any]]:
    return [each["spec"]["template"] for kind in ("Deployment", "StatefulSet", "Job") for each in of_kind(built, kind)]


def of_kind(built: Manifests, kind: str) -> list[dict[str, Any]]:
    return [manifest for (found, _), manifest in built.items() if found == kind]


def gib(quantity: str) -> float:
    """Return a quantity of memory, such as 512Mi, in GiB."""
    number, unit = re.fullmatch(r"(\d+)(Mi|Gi)", quantity).groups()  # type: ignore[union-attr]
    return int(number) / {"Mi": 1024, "Gi": 1}[unit]
