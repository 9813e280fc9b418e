"""The source keeps each rule; and each rule finds a violation that is planted in a small tree."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tidy import lua_rules, rules
from tests.tidy.rules import Rule
from tests.tidy.source_tree import SourceTree

LUA_HEAD = "-- Purpose: x\n-- KEYS: none\n-- ARGV: now_ms\n-- Returns: OK\n-- Called by: nobody\n"
PROJECT = """[project]
name = "ours"
dependencies = ["msgspec>=0.20"]
[project.optional-dependencies]
server = ["redis[hiredis]>=8"]
sim = ["ours[server]"]
"""
HASH = f" \\\n    --hash=sha256:{64 * '0'} \\\n    --hash=sha256:{64 * 'f'}\n"
INDEX = ".".join(("pypi", "org"))

# Each rule with trees that break it (file -> text); all files of a tree together are one violation or more.
PLANTED: list[tuple[Rule, dict[str, str]]] = [
    (
        rules.time_and_chance_come_in_by_the_constructor,
        {"scheduler/a.py": "import time\nnow = time.time()\n"},
    ),
    (
        rules.time_and_chance_come_in_by_the_constructor,
        {"sim/a.py": "from time import time as t\nnow = t()\n"},
    ),
    (
        rules.time_and_chance_come_in_by_the_constructor,
        {"sim/a.py": "import time\nf(default=time.monotonic)\n"},
    ),
    (
        rules.time_and_chance_come_in_by_the_constructor,
        {"scheduler/a/b.py": "def f():\n    from datetime import datetime\n    return datetime.now()\n"},
    ),
    (
        rules.time_and_chance_come_in_by_the_constructor,
        {"sim/a.py": "import random\nx = random.choice([1])\n"},
    ),
    (rules.time_and_chance_come_in_by_the_constructor, {"sim/a.py": "import random\nx = random.Random()\n"}),
    (
        rules.time_and_chance_come_in_by_the_constructor,
        {"sim/a.py": "import numpy as np\nx = np.random.default_rng()\n"},
    ),
    (
        rules.time_and_chance_come_in_by_the_constructor,
        {"sim/a.py": "import numpy\nx = numpy.random.rand()\n"},
    ),
    (rules.time_and_chance_come_in_by_the_constructor, {"scheduler/a.py": "import uuid\nx = uuid.uuid4()\n"}),
    (rules.time_and_chance_come_in_by_the_constructor, {"scheduler/a.py": "import os\nx = os.urandom(8)\n"}),
    (
        rules.time_and_chance_come_in_by_the_constructor,
        {"scheduler/a.py": "import secrets\nx = secrets.token_hex()\n"},
    ),
    (
        rules.time_and_chance_come_in_by_the_constructor,
        {"scheduler/core/clock.py": "now = 1  # no need of the clock\n"},
    ),
    (rules.the_scheduler_does_not_print, {"scheduler/a.py": "print(1)\n"}),
    (rules.commands_escape_their_output, {"sim/a.py": "import click\nclick.echo(1)\n"}),
    (rules.waits_have_no_hidden_tasks, {"scheduler/a.py": "import asyncio\nx = asyncio.wait_for(y, 1)\n"}),
    (rules.decisions_do_not_wait, {"scheduler/core/jobs/job_table.py": "import asyncio\n"}),
    (rules.files_have_one_role, {"sim/a.py": "x = 1\n" * rules.LINES_MAX}),
    (rules.files_have_one_role, {"lua/a.lua": "local x = 1\n" * rules.LINES_MAX}),
    (rules.nothing_names_a_package_index, {"README.md": f"pip install -i https://{INDEX}/simple x\n"}),
    (rules.nothing_names_a_package_index, {"a/pip.conf": "--" + "find-links /opt\n"}),
    (rules.nothing_is_left_for_later, {"sim/a.py": "x = 1  # TO" + "DO: more\n"}),
    (rules.every_test_runs, {"tests/test_a.py": "import pytest\n@pytest.mark.skip\ndef test_a(): pass\n"}),
    (rules.every_test_runs, {"tests/test_a.py": "import pytest\nredis = pytest.importorskip('redis')\n"}),
    (rules.every_test_runs, {"tests/test_a.py": "import time\ndef test_a():\n    time.sleep(1)\n"}),
    (rules.what_bandit_is_told_to_pass_over_has_a_reason, {"scheduler/a.py": "x = 1  # nosec\n"}),
    (rules.what_bandit_is_told_to_pass_over_has_a_reason, {"scheduler/a.py": "x = 1  # nosec B101\n"}),
    (rules.what_bandit_is_told_to_pass_over_has_a_reason, {"scheduler/a.py": "x = 1  # nosec  # no id\n"}),
    (rules.requirements_are_pinned, {"pyproject.toml": PROJECT, "requirements.lock": f"msgspec==1{HASH}"}),
    (
        rules.requirements_are_pinned,
        {"pyproject.toml": PROJECT, "requirements.lock": f"msgspec==1{HASH}redis>=8{HASH}redis==8{HASH}"},
    ),
    (
        rules.requirements_are_pinned,
        {"pyproject.toml": PROJECT, "requirements.lock": f"msgspec==1{HASH}redis==8\n"},
    ),
    (
        rules.requirements_are_pinned,
        {
            "pyproject.toml": PROJECT,
            "requirements.lock": f"msgspec==1{HASH}redis==8{HASH}",
            "ops/requirements.lock": "msgspec==1\n",
        },
    ),
    (lua_rules.scripts_say_their_contract, {"lua/a.lua": "-- Purpose: x\nreturn 1\n"}),
    (lua_rules.scripts_say_their_contract, {"lua/_a.lua": "local x = 1\n"}),
    (lua_rules.scripts_name_their_arguments, {"lua/a.lua": LUA_HEAD + "if ARGV[1] then return 1 end\n"}),
    (lua_rules.scripts_are_repeatable, {"lua/a.lua": LUA_HEAD + "local call = redis.call\nlocal t = call('TIME')\n"}),
    (lua_rules.scripts_are_repeatable, {"lua/a.lua": LUA_HEAD + "for k in pairs(t) do end\n"}),
    (lua_rules.scripts_are_repeatable, {"lua/a.lua": LUA_HEAD + "local x = cjson.decode(y)\n"}),
]

# Code that looks like a violation but is none.
FINE: dict[str, str] = {
    "scheduler/a.py": "import random\nx = random.Random(7)\nprinter = print_it\n",
    "scheduler/c.py": "x = 1  # nosec B311  # no secret\n",
    "scheduler/b.py": "from random import Random\ndef f(random: Random): return random.random()\n",
    "sim/a.py": "import numpy as np\nfrom voxpool.scheduler import job\nx = np.random.default_rng(7)\n",
    "lua/a.lua": LUA_HEAD + "local now_ms = ARGV[1]\nfor i, v in ipairs(t) do end  -- not pairs()\n",
    "lua/_a.lua": "-- Included by the scripts: x\n",
    "tests/test_a.py": "import asyncio\nasync def test_a():\n    await asyncio.sleep(0)\n",
    "pyproject.toml": PROJECT,
    "requirements.lock": f"msgspec==1.0.post1{HASH}redis==8 ; python_full_version < '3.12'{HASH}",
    "README.md": "pip install voxpool\n",
}

RULES = list(dict.fromkeys(rule for rule, _ in PLANTED))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_source_keeps_the_rule(rule: Rule) -> None:
    assert rule(SourceTree()) == []


@pytest.mark.parametrize(("rule", "files"), PLANTED, ids=lambda value: getattr(value, "__name__", ""))
def test_a_planted_violation_is_found(rule: Rule, files: dict[str, str], tmp_path: Path) -> None:
    plant(tmp_path, files)
    assert rule(SourceTree(tmp_path)) != []


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_code_that_only_looks_like_a_violation_passes(rule: Rule, tmp_path: Path) -> None:
    plant(tmp_path, FINE)
    assert rule(SourceTree(tmp_path)) == []


def plant(root: Path, files: dict[str, str]) -> None:
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
