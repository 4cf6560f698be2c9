"""What the chart tests and the cluster tests share: running programs, counting checks, the chart's objects as data."""

import json
import pathlib
import shutil
import subprocess
import sys
import time

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
CHART = ROOT / "deploy/helm/openclaw-gateway"
KUSTOMIZE = ROOT / "deploy/k8s"
HERE = pathlib.Path(__file__).resolve().parent


class Failed(Exception):
    """A check that did not hold."""


def run(*command, stdin=None, timeout=300, check=True):
    """Runs a program; its output as text. Raises with what it printed if it fails."""
    done = subprocess.run([str(word) for word in command], input=stdin, capture_output=True, text=True, timeout=timeout)
    if check and done.returncode != 0:
        raise Failed(f"{' '.join(map(str, command))}: exit {done.returncode}\n{done.stdout}{done.stderr}")
    return done


def require(condition, message):
    """Fails the current check with `message` unless `condition` holds."""
    if not condition:
        raise Failed(message)


def until(what, seconds, question, pause=0.2):
    """Asks until the answer is true, and returns it; fails with `what` after `seconds`."""
    end = time.monotonic() + seconds
    while True:
        answer = question()
        if answer:
            return answer
        if time.monotonic() > end:
            raise Failed(f"not within {seconds} s: {what}")
        time.sleep(pause)


class Report:
    """One line per check; the exit code says whether all held."""

    def __init__(self, only=""):
        self.passed, self.failed, self.skipped, self.only, self.began = 0, 0, 0, only, time.monotonic()

    def wants(self, group):
        """Whether any check of a group, whose names begin with it, can be asked for."""
        return not self.only or self.only.startswith(group) or group.startswith(self.only)

    def check(self, name, body, *arguments):
        """Runs `body`; what it returns is printed beside the name. False if it failed or was left out."""
        if self.only not in name:
            return False
        began = time.monotonic()
        try:
            note = body(*arguments)
        except (Failed, subprocess.TimeoutExpired, KeyError, IndexError, ValueError, OSError) as error:
            self.failed += 1
            print(f"not ok - {name}\n    " + f"{type(error).__name__}: {error}".replace("\n", "\n    "), flush=True)
            return False
        self.passed += 1
        print(f"ok - {name} ({time.monotonic() - began:.1f} s)" + (f": {note}" if note else ""), flush=True)
        return True

    def skip(self, name, reason):
        """Says what was not looked at, and what would make it possible."""
        self.skipped += 1
        print(f"skipped - {name}: {reason}", flush=True)

    def end(self):
        """Prints the sums and leaves."""
        took = time.monotonic() - self.began
        print(f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped in {took:.0f} s", flush=True)
        sys.exit(1 if self.failed else 0)


def need(program):
    """The path of a program, or the end with what to do about it."""
    path = shutil.which(program)
    if not path:
        sys.exit(f"{program} is not installed: run this through `bash .ci/dev chart` or put it on PATH")
    return path


def template(values="", *options, release="openclaw-gateway", namespace="openclaw", check=True):
    """`helm template` with a values file."""
    extra = ["-f", values] if values else []
    return run("helm", "template", release, CHART, "-n", namespace, "--kube-version", "1.35.0", *extra, *options, check=check)


def objects(text):
    """The objects of a stream of YAML documents."""
    return [document for document in yaml.safe_load_all(text) if document]


def key(one):
    """Kind and name."""
    return f"{one['kind']}/{one['metadata']['name']}"


def dump(value):
    """Readable and stable."""
    return json.dumps(value, indent=1, sort_keys=True)
