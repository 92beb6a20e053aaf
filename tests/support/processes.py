"""Groups of processes on this machine, started like those of torchrun."""

import os
import socket
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 120  # seconds; enough for a busy machine


def surroundings(rank, size, port, **more):
    """Return the environment of one rank."""
    place = {"RANK": rank, "WORLD_SIZE": size, "LOCAL_RANK": rank, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    quiet = {"OMP_NUM_THREADS": 1, "TOPICNET_THREADS": 1, "TOPICNET_TIMEOUT_SECONDS": 60, "PYTHONWARNINGS": "error"}
    return os.environ | {name: str(value) for name, value in (place | quiet | more).items()}


def started(size, arguments, **more):
    """Start all ranks with a port that is currently free."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    return [
        subprocess.Popen(
            [sys.executable, *map(str, arguments)],
            env=surroundings(rank, size, port, **more),
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(size)
    ]


def ended(processes):
    """Wait for all ranks; returns status, standard output and standard error of each."""
    try:
        outputs = [process.communicate(timeout=PATIENCE) for process in processes]
    finally:
        for process in processes:
            process.kill()
    return [(process.returncode, *one) for process, one in zip(processes, outputs, strict=True)]
