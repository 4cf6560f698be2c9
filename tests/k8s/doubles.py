"""A scripted model provider and a collector that pods can reach, and clients that load a gateway and count."""

import http.client
import http.server
import json
import re
import threading
import time


class Model:
    """Answers chat completions on every address; `[[slow:MS]]` in the newest message makes it wait first."""

    def __init__(self):
        model = self
        self.lock, self.conversations = threading.Lock(), []

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                said = [text_of(one["content"]) for one in body["messages"] if one["role"] == "user"]
                with model.lock:
                    model.conversations.append(said)
                slow = re.search(r"\[\[slow:(\d+)\]\]", said[-1])
                if slow:
                    time.sleep(int(slow[1]) / 1000)
                pieces = [{"choices": [{"index": 0, "delta": {"content": "echo"}, "finish_reason": None}]},
                          {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}]
                whole = {"choices": [{"index": 0, "message": {"role": "assistant", "content": "echo"}, "finish_reason": "stop"}]}
                if body.get("stream"):
                    kind, data = "text/event-stream", "".join(f"data: {json.dumps(one)}\n\n" for one in pieces) + "data: [DONE]\n\n"
                else:
                    kind, data = "application/json", json.dumps(whole)
                self.send_response(200)
                self.send_header("content-type", kind)
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data.encode())

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 1024

            def handle_error(self, *_):
                """A gateway that goes away in the middle of an answer is what these tests are about."""

        self.server = Server(("0.0.0.0", 0), Handler)
        self.port = self.server.server_port
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def saw(self, text):
        """The user's messages of every request whose newest one holds `text`."""
        with self.lock:
            return [said for said in self.conversations if text in said[-1]]


def text_of(content):
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content)


class Collector:
    """Takes OTLP over HTTP and keeps what it got."""

    def __init__(self):
        collector = self
        self.lock, self.got = threading.Lock(), []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                with collector.lock:
                    collector.got.append((self.path, body))
                self.send_response(200)
                self.send_header("content-type", "application/x-protobuf")
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("0.0.0.0", 0), Handler)
        self.port = self.server.server_port
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def has(self, path, content):
        """Whether anything posted to `path` holds these bytes."""
        with self.lock:
            return any(content in body for to, body in self.got if to == path)


class Unreachable(OSError):
    """No connection came about, so nothing was asked."""


def connect(host, port, timeout=30):
    """A connection. Patience is for answers: a pod that is gone does not even refuse."""
    connection = http.client.HTTPConnection(host, port, timeout=3)
    try:
        connection.connect()
    except OSError as error:
        raise Unreachable(f"{host}:{port}: {type(error).__name__} {error}") from None
    connection.sock.settimeout(timeout)
    return connection


def request(host, port, path, body=None, token="", headers=(), timeout=30):
    """Status and body of one request on a connection of its own."""
    connection = connect(host, port, timeout)
    try:
        return exchange(connection, path, body, token, headers)
    finally:
        connection.close()


def exchange(connection, path, body, token, headers=()):
    all_headers = {"authorization": f"Bearer {token}", "content-type": "application/json", **dict(headers)}
    connection.request("POST" if body else "GET", path, json.dumps(body) if body else None, all_headers)
    response = connection.getresponse()
    return response.status, response.read().decode()


def says(text, user=None):
    """A chat request."""
    return {"model": "openclaw", "messages": [{"role": "user", "content": text}], **({"user": user} if user else {})}


class Load:
    """Clients that ask one thing after the other until `stop`. With `durable` each has a conversation of its own."""

    def __init__(self, address, token, clients, durable="", text="m"):
        self.address, self.token, self.durable, self.text = address, token, durable, text
        self.stopping = threading.Event()
        self.done = [[] for _ in range(clients)]
        self.failures = [[] for _ in range(clients)]
        self.threads = [threading.Thread(target=self.client, args=(n,), daemon=True) for n in range(clients)]
        for thread in self.threads:
            thread.start()

    def client(self, number):
        connection, sent = None, 0
        user = f"{self.durable}{number}" if self.durable else None
        while not self.stopping.is_set():
            text = f"{self.text}-{number}-{sent};"
            sent += 1
            try:
                connection = connection or connect(*self.address)
                status, answer = exchange(connection, "/v1/chat/completions", says(text, user), self.token)
                failure = None if status == 200 else f"{status} {answer[:120]}"
            except (OSError, http.client.HTTPException) as error:
                failure = f"{type(error).__name__} {error}"
            if failure is None:
                self.done[number].append((time.monotonic(), text))
                continue
            self.failures[number].append((time.monotonic(), text, failure))
            if connection:
                connection.close()
            connection = None
            self.stopping.wait(0.05)

    def count(self):
        """Requests answered so far."""
        return sum(map(len, self.done))

    def stop(self):
        """Ends it; (answered, failures)."""
        self.stopping.set()
        for thread in self.threads:
            thread.join(60)
        return self.count(), [failure for each in self.failures for failure in each]

    def longest_gap(self):
        """Seconds between two answers of the whole, at most."""
        times = sorted(at for each in self.done for at, _ in each)
        return max((later - earlier for earlier, later in zip(times, times[1:])), default=0.0)
