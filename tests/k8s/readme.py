"""The table of values in the chart's README, made from values.yaml: its keys, its defaults, its comments."""

import json
import re

import yaml

from common import CHART

README = CHART / "README.md"
BEGIN, END = "<!-- values: made from values.yaml by `bash .ci/dev chart --update` -->\n\n", "\n<!-- end of values -->\n"


def comments(text):
    """What `# --` and the comment lines after it say, by path of the key below them."""
    found, path, pending = {}, [], []
    for line in text.splitlines():
        key = re.match(r"( *)(\w+):", line)
        words = line.strip()
        if words.startswith("# --"):
            pending = [words[4:].strip()]
        elif words.startswith("#") and pending:
            pending.append(words[1:].strip())
        elif key:
            path = [*path[: len(key[1]) // 2], key[2]]
            if pending:
                found[".".join(path)] = " ".join(pending)
            pending = []
        else:
            pending = []
    return found


def rows(values, said, prefix=""):
    """(path, default, comment) of every value; a group with a comment of its own is one row."""
    for key, value in values.items():
        path = prefix + key
        if isinstance(value, dict) and value and path not in said:
            yield from rows(value, said, path + ".")
        else:
            yield path, json.dumps(value, separators=(", ", ": ")), said.get(path, "")


def with_table():
    """The README as it should be."""
    text = (CHART / "values.yaml").read_text()
    lines = [f"| `{path}` | `{default}` | {comment} |".replace("|  |", "| |") for path, default, comment in rows(yaml.safe_load(text), comments(text))]
    table = "\n".join(["| value | default | |", "|---|---|---|", *lines, ""])
    before, rest = README.read_text().split(BEGIN)
    return before + BEGIN + table + END + rest.split(END)[1]
