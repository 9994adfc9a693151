"""Runs schemathesis, a program of its own, on a server that runs."""

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.results import Clip, make_job
from tests.support import PROJECT, Server

HERE = Path(__file__).parent


def fuzz(server: Server, *, examples: int, seed: int) -> "subprocess.CompletedProcess[str]":
    """Try each call with as many examples; returncode 1 and a report when something is found."""
    program = Path(sys.executable).parent / "schemathesis"
    command = [
        *(program, "--config-file", HERE / "schemathesis.toml", "run"),
        *(f"http://127.0.0.1:{server.port}/api/openapi.json", "--no-color"),
        *("--header", f"Authorization: Bearer {server.token}"),
        *("--max-examples", str(examples), "--seed", str(seed), "--generation-deterministic"),
        *("--checks", "all", "--continue-on-failure"),
    ]
    job = make_job(server, Clip(outputs=[b"output"]))
    (file_id,) = server.rows("SELECT id FROM job_file WHERE job_id = ?", job.id)[0]
    ids = {"job_id": [job.id], "output_id": job.outputs, "file_id": [file_id]}
    environment = {
        **os.environ,
        "SCHEMATHESIS_HOOKS": "tests.fuzzing.hooks",
        "FUZZ_IDS": json.dumps(ids),
    }
    return subprocess.run(
        list(map(str, command)), cwd=PROJECT, env=environment, capture_output=True, text=True
    )
