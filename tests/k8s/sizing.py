"""Measures what docs/sizing.md says: memory and processor time of a gateway with 10, 100 and 1000 clients.

usage: sizing.py [PROGRAM]      default target/release/openclaw; the scripted model and the clients run on the same machine,
so only what belongs to the gateway's process is printed
"""

import base64
import json
import os
import pathlib
import secrets
import socket
import struct
import subprocess
import sys
import tempfile
import time

from common import ROOT, until
from doubles import Load, Model, request

TOKEN = "sizing-token-0123456789"
COUNTS = (10, 100, 1000)


class Gateway:
    """A process of its own with temporary files."""

    def __init__(self, program, model):
        self.folder = tempfile.TemporaryDirectory()
        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))
            self.port = one.getsockname()[1]
        provider = {"baseUrl": f"http://127.0.0.1:{model.port}/v1", "api": "openai-completions", "apiKey": "none", "models": [{"id": "m", "name": "m"}]}
        config = {
            "gateway": {"mode": "local", "auth": {"mode": "token", "token": TOKEN}, "http": {"endpoints": {"chatCompletions": {"enabled": True}}}, "limits": {"maxInFlight": 2000}},
            "models": {"providers": {"double": provider}},
            "agents": {"defaults": {"model": {"primary": "double/m"}, "maxConcurrent": 2000}},
        }
        path = pathlib.Path(self.folder.name, "openclaw.json")
        path.write_text(json.dumps(config))
        env = {"PATH": os.environ["PATH"], "HOME": self.folder.name, "OPENCLAW_STATE_DIR": f"{self.folder.name}/state", "OPENCLAW_CONFIG_PATH": str(path)}
        log = open(f"{self.folder.name}/log", "wb")
        self.process = subprocess.Popen([program, "gateway", "--port", str(self.port)], env=env, stdout=log, stderr=log)
        until("readiness", 60, self.is_ready)

    def is_ready(self):
        try:
            return request("127.0.0.1", self.port, "/readyz", timeout=2)[0] == 200
        except OSError:
            return False

    def memory(self):
        """MiB now, and at most since the start."""
        lines = pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        kib = {line.split(":")[0]: int(line.split()[1]) for line in lines if line.startswith("Vm")}
        return kib["VmRSS"] / 1024, kib["VmHWM"] / 1024

    def cpu(self):
        """Seconds of processor time."""
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self):
        self.process.terminate()
        self.process.wait(60)
        self.folder.cleanup()


def control_client(port):
    """An open WebSocket of a control client that has connected."""
    one = socket.create_connection(("127.0.0.1", port))
    key = base64.b64encode(secrets.token_bytes(16)).decode()
    one.sendall(f"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode())
    params = {"minProtocol": 3, "maxProtocol": 4, "role": "operator", "scopes": ["operator.read"], "auth": {"token": TOKEN},
              "client": {"id": "gateway-client", "version": "0", "platform": "linux", "mode": "backend"}}
    data = json.dumps({"type": "req", "id": "1", "method": "connect", "params": params}).encode()
    # Masked with zeros, which leaves the text as it is.
    one.sendall(struct.pack("!BBH", 0x81, 0x80 | 126, len(data)) + bytes(4) + data)
    seen = b""
    while b"hello-ok" not in seen:
        part = one.recv(65536)
        if not part:
            raise OSError(f"no hello-ok: {seen[-300:]}")
        seen += part
    return one


def main():
    program = sys.argv[1] if len(sys.argv) > 1 else ROOT / "target/release/openclaw"
    model = Model()
    gateway = Gateway(program, model)
    print(f"idle: {gateway.memory()[0]:.0f} MiB")
    gateway.stop()
    for count in COUNTS:
        gateway = Gateway(program, model)
        before = gateway.memory()[0]
        clients = [control_client(gateway.port) for _ in range(count)]
        time.sleep(1)
        print(f"{count} idle control clients: {gateway.memory()[0]:.0f} MiB, {1024 * (gateway.memory()[0] - before) / count:.0f} KiB each")
        for one in clients:
            one.close()
        gateway.stop()
    for count in COUNTS:
        for durable, kind in (("", "without a conversation"), ("s", "each with a conversation")):
            gateway = Gateway(program, model)
            cpu = gateway.cpu()
            load = Load(("127.0.0.1", gateway.port), TOKEN, count, durable, text="[[slow:5000]]" if count > 100 else "m")
            time.sleep(20)
            answered, failures = load.stop()
            now, most = gateway.memory()
            print(f"{count} chat clients {kind}: {answered} answers, {len(failures)} failed, {1000 * (gateway.cpu() - cpu) / max(answered, 1):.2f} ms of processor time each, "
                  f"{most:.0f} MiB at most, {now:.0f} MiB afterwards", flush=True)
            gateway.stop()


if __name__ == "__main__":
    main()
