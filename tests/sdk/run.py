"""Generates a Python and a TypeScript client from the OpenAPI document and lets each do the main job.

Usage: run.py GATEWAY, the path of the binary to test. `tests/setup.sh test` installs what this needs.
"""

import contextlib
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

START_SECONDS = 30
STEP_SECONDS = 300

SOURCES = Path(__file__).resolve().parent
DOCUMENT = SOURCES.parent.parent / "openapi" / "openapi.json"
WORK = Path(os.environ.get("CARGO_TARGET_DIR", "target")).resolve() / "sdk"
PYTHON = WORK / "python"
TYPESCRIPT = WORK / "typescript"


class Failed(Exception):
    """A check did not hold; the message says what was seen."""


def run(*command, cwd=WORK, **env):
    tools = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=os.environ | {"PATH": tools} | env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=STEP_SECONDS,
    )
    if done.returncode != 0:
        raise Failed(done.stdout)


def validate_document():
    run(sys.executable, "-m", "openapi_spec_validator", DOCUMENT)


def generate_python():
    shutil.rmtree(PYTHON, ignore_errors=True)
    PYTHON.mkdir(parents=True)
    # A warning is an operation or a model that the generator leaves out.
    run(
        *(sys.executable, "-m", "openapi_python_client", "generate", "--fail-on-warning"),
        *("--meta", "none", "--path", DOCUMENT, "--output-path", PYTHON / "session_gateway"),
    )


def generate_typescript():
    binaries = TYPESCRIPT / "node_modules" / ".bin"
    shutil.rmtree(TYPESCRIPT / "out", ignore_errors=True)
    for source in ("main_job.ts", "tsconfig.json"):
        shutil.copy(SOURCES / "typescript" / source, TYPESCRIPT)
    run(binaries / "openapi-typescript", DOCUMENT, "--output", "schema.d.ts", cwd=TYPESCRIPT)
    run(binaries / "tsc", "--project", "tsconfig.json", cwd=TYPESCRIPT)


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def is_ready(url):
    try:
        with urllib.request.urlopen(f"{url}/readyz", timeout=1) as answer:
            return answer.status == 200
    except (urllib.error.URLError, OSError):
        return False


def wait_until_ready(server, url):
    deadline = time.monotonic() + START_SECONDS
    while not is_ready(url):
        if server.poll() is not None:
            raise Failed(f"the gateway stopped with {server.returncode}")
        if time.monotonic() > deadline:
            raise Failed(f"the gateway was not ready after {START_SECONDS} s")
        time.sleep(0.05)


@contextlib.contextmanager
def gateway(binary, log):
    """A running gateway with a store of its own; gives what a client needs to know of it."""
    url = f"http://127.0.0.1:{free_port()}"
    secret = secrets.token_urlsafe(32)
    clean = {name: value for name, value in os.environ.items() if not name.startswith("SGW_")}
    with tempfile.TemporaryDirectory() as directory:
        settings = {
            "SGW_LISTEN": url.removeprefix("http://"),
            "SGW_STORE": f"embedded:{directory}/data",
            "SGW_ADMIN_SECRET": secret,
        }
        server = subprocess.Popen(
            [binary, "serve"], cwd=directory, env=clean | settings, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
        try:
            wait_until_ready(server, url)
            yield {"GATEWAY_URL": url, "ADMIN_SECRET": secret}
        finally:
            server.terminate()
            try:
                server.wait(START_SECONDS)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()


def with_gateway(binary, *command, **env):
    log = WORK / "gateway.log"
    with log.open("w") as output:
        try:
            with gateway(binary, output) as known:
                run(*command, **known, **env)
        except Failed as failure:
            raise Failed(f"{failure}\nThe gateway wrote:\n{log.read_text()}") from failure


def main():
    binary = str(Path(sys.argv[1]).resolve())
    checks = {
        "the document is valid OpenAPI": validate_document,
        "a Python client can be generated": generate_python,
        "the Python client does the main job": lambda: with_gateway(
            binary, sys.executable, SOURCES / "main_job.py", PYTHONPATH=str(PYTHON)
        ),
        "a TypeScript client can be generated and compiled": generate_typescript,
        "the TypeScript client does the main job": lambda: with_gateway(
            binary, "node", TYPESCRIPT / "out" / "main_job.js"
        ),
    }
    failed = 0
    for name, check in checks.items():
        try:
            check()
            print(f"ok      {name}", flush=True)
        except (Failed, OSError, subprocess.TimeoutExpired) as failure:
            failed += 1
            print(f"FAILED  {name}\n{failure}", flush=True)
    print(f"{len(checks) - failed} passed, {failed} failed")
    sys.exit(failed > 0)


main()
