"""What the scripts share: the environment, and a view of the scripted model provider behind the gateway.

OPENAI_BASE_URL and OPENAI_API_KEY lead to the gateway (every client here reads them by itself); DOUBLE_URL to the provider.
"""
import contextlib
import json
import os
import time
import urllib.request

DOUBLE = os.environ["DOUBLE_URL"]
MODEL = "openclaw"
HELLO = "Hello from the double."


def get(path):
    with urllib.request.urlopen(DOUBLE + path, timeout=10) as answer:
        return json.load(answer)


def confirm():
    """Lets the provider send the next token of a `[[steps:N]]` answer."""
    urllib.request.urlopen(urllib.request.Request(DOUBLE + "/control/confirm", method="POST"), timeout=10).close()


def last_request():
    """The newest request body that the provider got."""
    return get("/control/last")


def released(within):
    """Waits until the provider writes no stream; fails after `within` seconds."""
    end = time.monotonic() + within
    while get("/control/open"):
        assert time.monotonic() < end, f"the provider still works after {within} s"
        time.sleep(0.01)


@contextlib.contextmanager
def raises(*kinds):
    """The block must raise one of `kinds`; yields a list that then holds it."""
    caught = []
    try:
        yield caught
    except kinds as error:
        caught.append(error)
        return
    raise AssertionError(f"nothing was raised, wanted {kinds}")
