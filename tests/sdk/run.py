"""Tests from outside: generated clients do the main job, and the README is true.

Usage: run.py GATEWAY, the path of the binary to test. `tests/setup.sh test` installs what this needs.
"""

import shutil
import subprocess
import sys
from pathlib import Path

import readme
from gateway import ROOT, WORK, Failed, run, running_gateway

SOURCES = ROOT / "tests" / "sdk"
DOCUMENT = ROOT / "openapi" / "openapi.json"
PYTHON = WORK / "python"
TYPESCRIPT = WORK / "typescript"


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


def do_main_job(binary, *command, **env):
    with running_gateway(binary) as (url, secret):
        run(*command, GATEWAY_URL=url, ADMIN_SECRET=secret, **env)


def passes(name, check, *args, **env):
    try:
        check(*args, **env)
    except (Failed, OSError, subprocess.TimeoutExpired) as failure:
        print(f"FAILED  {name}\n{failure}", flush=True)
        return False
    print(f"ok      {name}", flush=True)
    return True


def main():
    binary = Path(sys.argv[1]).resolve()
    in_python = (sys.executable, SOURCES / "main_job.py")
    in_typescript = ("node", TYPESCRIPT / "out" / "main_job.js")
    results = [
        passes("the document is valid OpenAPI", validate_document),
        passes("a Python client can be generated", generate_python),
        passes("the Python client does the main job", do_main_job, binary, *in_python, PYTHONPATH=str(PYTHON)),
        passes("a TypeScript client can be generated and compiled", generate_typescript),
        passes("the TypeScript client does the main job", do_main_job, binary, *in_typescript),
        passes("the README lists every setting with its default", readme.settings_are_listed_with_their_defaults),
        passes("the quick start of the README answers as written", readme.quick_start_answers_as_written, binary),
    ]
    print(f"{results.count(True)} passed, {results.count(False)} failed")
    sys.exit(not all(results))


main()
