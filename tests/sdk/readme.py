"""What the README says, against a running gateway."""

import json
import re

from gateway import ROOT, Failed, run, running_gateway

# What differs from run to run. Ids and secrets are told apart by their form, so a misplaced one is still found.
VARYING = [
    (r'"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"', '"<id>"'),
    (r'"sgw_[A-Za-z0-9_-]{40,}"', '"<token>"'),
    (r'"[A-Za-z0-9_-]{43,}"', '"<secret>"'),
    (r'"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"', '"<time>"'),
    (r'"remaining_seconds":\s*\d+', '"remaining_seconds": 1'),
]


def fenced(text, language):
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def documents(text):
    """The JSON documents of a text, one after another, without what varies."""
    for pattern, placeholder in VARYING:
        text = re.sub(pattern, placeholder, text)
    decoder, found = json.JSONDecoder(), []
    while text := text.lstrip():
        try:
            document, end = decoder.raw_decode(text)
        except json.JSONDecodeError as error:
            raise Failed(f"not JSON: {text}") from error
        found.append(document)
        text = text[end:]
    return found


def quick_start_answers_as_written(binary):
    text = (ROOT / "README.md").read_text()
    commands = "".join(fenced(text, "bash"))
    with running_gateway(binary) as (url, secret):
        answered = run("bash", "-euo", "pipefail", "-c", commands, GATEWAY=url, SGW_ADMIN_SECRET=secret)
    written = documents("".join(fenced(text, "json")))
    if documents(answered) != written:
        raise Failed(f"the commands of the README answer:\n{answered}")


def settings_are_listed_with_their_defaults():
    # A default that is made at the first start, or none, has no code in the table.
    listed = re.findall(r"^\| `(SGW_\w+)` \| (?:`(.*?)`)?", (ROOT / "README.md").read_text(), re.MULTILINE)
    example = re.findall(r"^#(SGW_\w+)=(.*)$", (ROOT / ".env.example").read_text(), re.MULTILINE)
    without_default = {name for name, default in listed if not default}
    expected = [(name, "" if name in without_default else default) for name, default in example]
    if listed != expected:
        raise Failed(f".env.example has {expected},\nthe README has {listed}")
