"""A model provider that begins an answer and finishes it only when somebody asks for /release."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

released = threading.Event()


class Provider(BaseHTTPRequestHandler):
    def do_GET(self):
        released.set()
        self.send_response(204)
        self.end_headers()

    def do_POST(self):
        self.rfile.read(int(self.headers.get("content-length", 0)))
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        self.event({"delta": {"role": "assistant", "content": "first "}})
        released.wait(60)
        self.event({"delta": {"content": "last"}})
        self.event({"delta": {}, "finish_reason": "stop"})
        self.wfile.write(b"data: [DONE]\n\n")

    def event(self, choice):
        chunk = {"id": "c", "object": "chat.completion.chunk", "created": 0, "model": "slow", "choices": [{"index": 0, **choice}]}
        self.wfile.write(f"data: {json.dumps(chunk)}\n\n".encode())
        self.wfile.flush()

    def log_message(self, *_):
        pass


ThreadingHTTPServer(("", 8000), Provider).serve_forever()
