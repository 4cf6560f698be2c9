"""A model provider. It finishes an answer to a prompt that says "slowly" only when somebody asks for /release; /last
gives back the last request."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

released = threading.Event()
last = b""


class Provider(BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/release":
            released.set()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(last)

    def do_POST(self):
        global last
        last = self.rfile.read(int(self.headers.get("content-length", 0)))
        request = json.loads(last)
        streamed = request.get("stream", False)
        self.send_response(200)
        self.send_header("content-type", "text/event-stream" if streamed else "application/json")
        self.end_headers()
        if streamed:
            self.event({"delta": {"role": "assistant", "content": "first "}})
        if "slowly" in json.dumps(request["messages"][-1]):
            released.wait(60)
        if streamed:
            self.event({"delta": {"content": "last"}})
            self.event({"delta": {}, "finish_reason": "stop"})
            self.wfile.write(b"data: [DONE]\n\n")
        else:
            whole = {"message": {"role": "assistant", "content": "first last"}, "finish_reason": "stop"}
            self.wfile.write(self.body("chat.completion", whole))

    def event(self, choice):
        self.wfile.write(b"data: %s\n\n" % self.body("chat.completion.chunk", choice))
        self.wfile.flush()

    def body(self, kind, choice):
        return json.dumps({"id": "c", "object": kind, "created": 0, "model": "slow", "choices": [{"index": 0, **choice}]}).encode()

    def log_message(self, *_):
        pass


ThreadingHTTPServer(("", 8000), Provider).serve_forever()
