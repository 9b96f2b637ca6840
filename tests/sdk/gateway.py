"""A gateway to test, and commands that talk to it."""

import contextlib
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
WORK = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve() / "sdk"

START_SECONDS = 30
COMMAND_SECONDS = 300


class Failed(Exception):
    """A check did not hold; the message says what was seen."""


def run(*command, cwd=WORK, **env):
    """What the command wrote; fails if it failed. Tools beside this Python are found first."""
    tools = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=os.environ | {"PATH": tools} | env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=COMMAND_SECONDS,
    )
    if done.returncode != 0:
        raise Failed(done.stdout)
    return done.stdout


@contextlib.contextmanager
def running_gateway(binary):
    """Starts a gateway with an empty store and gives its URL and the secret of `admin`."""
    url, secret, log = f"http://127.0.0.1:{free_port()}", secrets.token_urlsafe(32), WORK / "gateway.log"
    others = {name: value for name, value in os.environ.items() if not name.startswith("SGW_")}
    settings = {
        "SGW_LISTEN": url.removeprefix("http://"),
        "SGW_STORE": "embedded:./data",
        "SGW_ADMIN_SECRET": secret,
    }
    with tempfile.TemporaryDirectory() as directory, log.open("w") as output:
        server = subprocess.Popen(
            [binary, "serve"],
            cwd=directory,
            env=others | settings,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
        try:
            wait_until_ready(server, url)
            yield url, secret
        except Failed as failure:
            raise Failed(f"{failure}\nThe gateway wrote:\n{log.read_text()}") from failure
        finally:
            stop(server)


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def wait_until_ready(server, url):
    deadline = time.monotonic() + START_SECONDS
    while not is_ready(url):
        if server.poll() is not None:
            raise Failed(f"the gateway stopped with {server.returncode}")
        if time.monotonic() > deadline:
            raise Failed(f"the gateway was not ready after {START_SECONDS} s")
        time.sleep(0.05)


def is_ready(url):
    try:
        with urllib.request.urlopen(f"{url}/readyz", timeout=1) as answer:
            return answer.status == 200
    except (urllib.error.URLError, OSError):
        return False


def stop(server):
    server.terminate()
    try:
        server.wait(START_SECONDS)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()
