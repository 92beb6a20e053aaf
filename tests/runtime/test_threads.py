import os
import subprocess
import sys

import pytest

from topicnet.runtime.threads import VARIABLE, limited_threads


@pytest.mark.parametrize(
    ("policy", "variable", "expected"),
    [("passive", "", 2), ("PASSIVE", "", 2), ("active", "", 1), (None, "", 1), (None, "3", 3), ("passive", "1", 1)],
)
def test_several_threads_are_used_only_if_waiting_threads_sleep(monkeypatch, policy, variable, expected):
    monkeypatch.setattr("topicnet.runtime.threads._n_cores", lambda: 8)
    monkeypatch.setenv(VARIABLE, variable)
    if policy is None:
        monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    else:
        monkeypatch.setenv("OMP_WAIT_POLICY", policy)
    assert limited_threads(2) == expected


@pytest.mark.parametrize(("given", "expected"), [(None, "passive"), ("active", "active")])
def test_the_command_line_lets_threads_sleep_unless_told_otherwise(given, expected):
    environment = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    environment |= {} if given is None else {"OMP_WAIT_POLICY": given}
    code = "import os, topicnet.cli as c; c.run = lambda a: print(os.environ['OMP_WAIT_POLICY']) or 0; c.main()"
    ran = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == expected
