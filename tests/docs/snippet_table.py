"""Exceptions for tests/docs/test_snippets_run.py: statements of pages that are not run literally.

A row that matches no statement of a page fails the tests, and so does a statement that fails and has no row.
"""

from __future__ import annotations

import signal
from collections.abc import Mapping
from typing import NamedTuple


class Row(NamedTuple):
    """The replacement of a statement ("" = it is not run), the reason, and the exit codes that it may have."""

    run: str
    reason: str
    exit_codes: tuple[int, ...] = (0,)


class Endless(NamedTuple):
    """A command that runs until a signal ends it; it is ready when its output has `sign`, or when NODE is connected."""

    begins: str
    sign: str
    ended_by: signal.Signals = signal.SIGTERM
    exit_codes: tuple[int, ...] = (0,)
    stays: bool = False
    """It is ended by the next command of its kind or with the page."""


NODE = "a node more is registered"
"""A sign in the scheduler, not in the output."""

ENDLESS = (
    Endless("voxpool serve", '"event":"scheduler_started"'),
    Endless("voxpool node", NODE, stays=True),
    Endless("python snippet.py", NODE, exit_codes=(0, -signal.SIGTERM), stays=True),
    Endless("voxpool jobs --watch", "attempts", signal.SIGINT, (130,)),
    Endless("locust -f loadtest/ --host", "Starting web interface", exit_codes=(0, 2, -signal.SIGTERM)),
)

RUN_ELSEWHERE: Mapping[str, str] = {
    "docs/prove-a-leak-fix.md": "tests/load/test_guide.py",
}
"""Pages with a test of their own that runs their commands."""

EVIDENCE = (0, 1, 2)
"""A short run may be unclear, and a busy machine may exceed a limit; 3 would be a wrong command line."""
BOUND = "the page records a run of minutes; here one bounded in size"
MINUTES = "the page records a run of minutes"

ROWS: Mapping[str, Row] = {
    # changes the machine, or needs something that tests do not have
    "pip install 'voxpool[server]'": Row("", "tests/packaging/test_installed.py installs the wheel"),
    "pip install 'voxpool[traces]'": Row("", "tests/packaging/test_extras.py has what each extra brings"),
    "docker run --rm -p 16686:16686 -p 4318:4318 jaegertracing/jaeger:latest": Row(
        "", "an image of others; tests/ops/test_containers.py has ours"
    ),
    "python -m venv .venv && . .venv/bin/activate": Row(
        "python -m venv --without-pip .venv && . .venv/bin/activate", "pip takes most of the time"
    ),
    # sets up or tests the whole tree: make prints the commands
    "make demo": Row("python examples/demo.py --no-leak", "the set-up and the simulation (20 s) are left out"),
    "make setup": Row("make -n setup", "installs everything"),
    "make lint": Row("make -n lint", "is a part of the run that this is a part of"),
    "make test": Row("make -n test", "is the run that this is a part of"),
    "make test-large": Row("make -n test-large", "takes an hour"),
    "voxpool-load chaos": Row("", f"{MINUTES}; tests/load/chaos/test_chaos.py"),
    "voxpool-load chaos --duration 60": Row("", f"{MINUTES}; tests/load/chaos/test_chaos.py"),
    "voxpool-load chaos --duration 60 --store cluster": Row("", f"{MINUTES}; tests/load/chaos/test_chaos.py"),
    "make chaos": Row("make -n chaos", "100 minutes; tests/load/chaos/test_chaos.py"),
    "make leak-measured": Row("make -n leak-measured", "10 minutes; tests/load/test_leak_measured.py"),
    "make mutants": Row("make -n mutants", "an hour; tests/unit/test_mutation.py"),
    ".venv/bin/python -m pytest -q tests/unit": Row(
        "python -m pytest -q -p no:cacheprovider tests/unit/test_backoff.py", "one file of the folder"
    ),
    '.venv/bin/python -m pytest -q -m "not alone" tests/sim': Row(
        'python -m pytest -q -p no:cacheprovider -m "not alone" tests/sim/test_limits.py', "one file of the folder"
    ),
    # a running scheduler
    "voxpool doctor": Row("voxpool doctor", "it finds what the machine of the tests lacks", (0, 1)),
    "voxpool serve --retention-s 15 --cleanup-interval-s 3 …": Row(
        "voxpool serve --retention-s 15 --cleanup-interval-s 3", "without the flags that … stands for"
    ),
    # simulation
    "voxpool-sim capacity --rate 20 --work exponential:2 --slots 2 --p99 0.5": Row(
        "", "a minute; tests/sim/test_experiment_capacity.py"
    ),
    "voxpool-sim capacity --rate 1000000 --work exponential:0.2 --slots 4 --costs docs/reports/shared-costs.toml": Row(
        "", "tests/sim/instances/test_capacity.py has it, in another folder"
    ),
    "voxpool-sim instances --costs docs/reports/shared-costs.toml": Row(
        "", f"{MINUTES}; tests/sim/instances/test_production.py"
    ),
    "voxpool-sim run rush": Row("voxpool-sim run rush --quick", "a tenth of its length"),
    "voxpool-sim run my-scenario.toml": Row("voxpool-sim run my-scenario.toml --quick", "a tenth of its length"),
    "voxpool-sim run my-scenario.toml --out report": Row(
        "voxpool-sim run my-scenario.toml --out report --quick", "a tenth of its length"
    ),
    "voxpool-sim run rush --why s1-17": Row("voxpool-sim run rush --why s1-17 --quick", "a tenth of its length"),
    "voxpool-sim leak": Row("", "a minute; tests/sim/test_experiment_leak.py"),
    "voxpool-sim soak --seeds 1000 --jobs 2": Row("voxpool-sim soak --seeds 2 --jobs 1", BOUND),
    "voxpool-sim soak --seeds 20 --size wire --jobs 2": Row("voxpool-sim soak --seeds 2 --size wire --jobs 1", BOUND),
    "voxpool-sim sweep rush --seeds 20 --set nodes.0.count=20,40 --jobs 2": Row(
        "voxpool-sim sweep rush --quick --seeds 1 --set nodes.0.count=40", BOUND
    ),
    "voxpool-sim soak --seeds 2000 --jobs 2 --table out/soak.parquet": Row("", f"{MINUTES}; tests/sim/sweep"),
    "voxpool-sim sweep rush --seeds 200 --set nodes.0.count=20,30,40 --table out/rush.parquet"
    " --json out/reports/sweep.json": Row("", f"{MINUTES}; tests/sim/sweep"),
    "voxpool-sim replay out/failed/RUN": Row("voxpool-sim replay out/failed/RUN", "it fails as before", (1,)),
    "voxpool-sim calibrate": Row("", "4 minutes; tests/sim/calibrate/test_costs_are_measured.py"),
    "voxpool-sim calibrate --out out/calibrate": Row("", f"{MINUTES}; tests/sim/calibrate/test_costs_are_measured.py"),
    "voxpool-sim policy --quick --without C6 --policies random"
    " --script examples/policies/first_free.lua --out report": Row("", "a minute; tests/sim/test_policy_script.py"),
    "voxpool-sim policy --full": Row("", f"{MINUTES}; tests/sim/test_experiment_policy.py"),
    "voxpool-sim explore --all": Row("", f"{MINUTES}; tests/sim/explore/test_all_flows.py"),
    "voxpool-sim explore all-together": Row("", f"{MINUTES}; tests/sim/explore/test_all_flows.py"),
    "voxpool-sim soak": Row("", f"{MINUTES}; tests/sim/test_long_soak.py"),
    "voxpool-sim run big": Row("", f"{MINUTES}; tests/sim/test_scenario.py reads the file"),
    "voxpool-sim soak --size large --seeds 200 --replay --jobs 2": Row("", f"{MINUTES}; tests/sim/test_swarm.py"),
    # load tests
    "locust -f loadtest/ --headless -u 200 -r 50 -t 30s --with-scheduler": Row(
        "locust -f loadtest/ --headless -u 4 -r 4 -t 2s --with-scheduler", BOUND, EVIDENCE
    ),
    'locust -f loadtest/ --headless -u 200 -r 50 -t 60s --expect "result.p99<200ms" --expect "failures<0.1%"': Row(
        'locust -f loadtest/ --headless -u 4 -r 4 -t 2s --expect "result.p99<200ms" --expect "failures<0.1%"'
        " --host http://127.0.0.1:5010",
        BOUND,
        EVIDENCE,
    ),
    "locust -f loadtest/ --headless -u 200 -r 50 -t 60s --with-scheduler"
    ' --expect "result.p99<200ms" --expect "failures<0.1%" --expect "rate>90/s" --expect "ws.submit.p95<=50ms"': Row(
        "", "minutes; tests/load/test_expect.py has each of these, and guides/load.md a run with --expect"
    ),
    "voxpool-load compare runs/a runs/b": Row("voxpool-load compare runs/a runs/b", "unclear is 2", EVIDENCE),
    "voxpool-load compare before/report.json after/report.json [--worse-by 5%] [--worse-by p99=30%] [--json FILE]": Row(
        "voxpool-load compare runs/a/report.json runs/b/report.json --worse-by 5% --worse-by p99=30% --json FILE",
        "all that may be left out is given",
        EVIDENCE,
    ),
    "locust -f loadtest/ --headless -u 20 -r 20 --scenario share --with-scheduler --serve-flags='--order fair'": Row(
        "", f"{MINUTES}; tests/load/test_share.py"
    ),
    "locust -f loadtest/ --master --headless --expect-workers 8 -u 4000 -r 400 -t 5m --rate-per-user 5 --nodes 400"
    " --host http://10.0.0.5:5010 --more-hosts http://10.0.0.6:5010 --more-hosts http://10.0.0.7:5010": Row(
        "", "several machines; tests/load/test_traffic.py, test_preparing.py"
    ),
    "locust -f loadtest/ --worker --master-host 10.0.0.4 --processes 2": Row("", "waits for a master elsewhere"),
    "voxpool-load pools": Row("", f"{MINUTES}; tests/load/test_big_pools.py"),
    "locust -f loadtest/ --headless --shape steps --steps 8 --step-s 15 -u 1600 -r 200 --rate-per-user 2 --nodes 100"
    ' --slots 8 --processes 2 --with-scheduler --serve-flags "--retention-s 15 --cleanup-interval-s 3"': Row(
        "", f"{MINUTES}; tests/load/test_shapes.py"
    ),
    "locust -f loadtest/ --headless --shape soak -u 830 -r 50 --rate-per-user 2 --nodes 100 --slots 8 --gate all"
    ' --processes 2 --with-scheduler --serve-flags "--retention-s 15 --cleanup-interval-s 3"': Row(
        "", f"{MINUTES}; tests/load/test_shapes.py"
    ),
    "locust -f loadtest/ --headless --host … -u 60 --rate-per-user 0.5 -t 10m --gate memory --until-clear 360": Row(
        "", "10 minutes; tests/load/test_until_clear.py"
    ),
    # two versions side by side: docs/load-reports.md
    "git worktree add ../before RELEASE && make -C ../before setup": Row("", "there is no release to compare with"),
    "../before/.venv/bin/voxpool serve --port 5011 --retention-s 15 --cleanup-interval-s 3 &": Row("", "as above"),
    ".venv/bin/voxpool serve --port 5012 --retention-s 15 --cleanup-interval-s 3 &": Row(
        "voxpool serve --port 5012 --retention-s 15 --cleanup-interval-s 3", "ended at once"
    ),
    ".venv/bin/locust $load --host http://127.0.0.1:5011 --out out/before & before=$!": Row(
        "", "two minutes; the words of $load are checked by tests/docs/test_snippets.py"
    ),
    ".venv/bin/locust $load --host http://127.0.0.1:5012 --out out/after; wait $before": Row("", "as above"),
    "kill %1 %2": Row("", "as above"),
    ".venv/bin/voxpool-load compare out/before out/after": Row(
        "voxpool-load compare runs/a runs/b", "reports of the tests", EVIDENCE
    ),
    # leakgate
    "leakgate watch --pid 4711 --metrics http://127.0.0.1:8000/metrics --work http_requests_total --for 6m": Row(
        "leakgate watch --pid 4711 --metrics http://127.0.0.1:5010/metrics"
        " --work voxpool_jobs_submitted_total --for 2s",
        "our scheduler in the place of the server; too short to say more than unclear",
        (2,),
    ),
    "leakgate watch --url http://127.0.0.1:8000/debug/leakgate/ --token @token.txt": Row(
        "", "minutes; tests/leakgate/test_watch_command.py"
    ),
    "locust -f locustfile.py --headless … --leak-url http://127.0.0.1:8000/debug/leakgate/"
    " --leak-gate --leak-html memory.html": Row("", "minutes; tests/leakgate/test_locust_plugin.py"),
}
"""By the statement as statements.py yields it."""
