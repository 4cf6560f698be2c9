"""An API server with its etcd on loopback, from the programs in KUBEBUILDER_ASSETS; gone when the test ends."""

import contextlib
import os
import pathlib
import random
import shutil
import socket
import subprocess
import tempfile

from common import Failed, run, until


def free_ports(count):
    """Ports that nobody listens on. They lie below those that systems give to outgoing connections, of which one could take
    such a port before the server does."""
    found = []
    for port in random.sample(range(20_000, 30_000), 1_000):
        with socket.socket() as one, contextlib.suppress(OSError):
            one.bind(("127.0.0.1", port))
            found.append(port)
        if len(found) == count:
            return found
    raise Failed("no free ports between 20000 and 30000")


def assets():
    """The folder with `etcd` and `kube-apiserver`, or nothing."""
    folder = os.environ.get("KUBEBUILDER_ASSETS", "")
    names = ("etcd", "kube-apiserver")
    return folder if folder and all(shutil.which(name, path=folder) for name in names) and shutil.which("openssl") else None


@contextlib.contextmanager
def api_server():
    """Runs one; KUBECONFIG points at it meanwhile."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="api-server-"))
    client, peer, port = free_ports(3)
    key = folder / "service-account.key"
    run("openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", key)
    (folder / "tokens").write_text("test-token,admin,admin,system:masters\n")
    (folder / "kubeconfig").write_text(
        "{apiVersion: v1, kind: Config, current-context: test, contexts: [{name: test, context: {cluster: test, user: admin}}], "
        f"clusters: [{{name: test, cluster: {{server: 'https://127.0.0.1:{port}', insecure-skip-tls-verify: true}}}}], "
        "users: [{name: admin, user: {token: test-token}}]}"
    )
    commands = {
        "etcd": [f"--data-dir={folder}/etcd", "--unsafe-no-fsync", f"--listen-client-urls=http://127.0.0.1:{client}",
                 f"--advertise-client-urls=http://127.0.0.1:{client}", f"--listen-peer-urls=http://127.0.0.1:{peer}",
                 f"--initial-advertise-peer-urls=http://127.0.0.1:{peer}", f"--initial-cluster=default=http://127.0.0.1:{peer}"],
        "kube-apiserver": [f"--etcd-servers=http://127.0.0.1:{client}", "--bind-address=127.0.0.1", f"--secure-port={port}",
                           f"--cert-dir={folder}/pki", f"--token-auth-file={folder}/tokens", "--authorization-mode=RBAC",
                           "--service-account-issuer=https://kubernetes.default.svc", f"--service-account-key-file={key}",
                           f"--service-account-signing-key-file={key}", "--service-cluster-ip-range=10.0.0.0/24",
                           # Nobody makes the default accounts, and loopback cannot be an endpoint.
                           "--disable-admission-plugins=ServiceAccount", "--endpoint-reconciler-type=none"],
    }
    before = os.environ.get("KUBECONFIG")
    processes = []
    try:
        for name, arguments in commands.items():
            log = open(folder / f"{name}.log", "wb")
            program = shutil.which(name, path=assets())
            processes.append(subprocess.Popen([program, *arguments], stdout=log, stderr=log, stdin=subprocess.DEVNULL))
        os.environ["KUBECONFIG"] = str(folder / "kubeconfig")
        ended = lambda: any(process.poll() is not None for process in processes)
        ready = lambda: run("kubectl", "get", "--raw", "/readyz", check=False).returncode == 0
        with contextlib.suppress(Failed):
            until("the API server", 300, lambda: ended() or ready())
        if ended() or not ready():
            logs = ((folder / f"{name}.log").read_text()[-1000:] for name in commands)
            raise Failed("no API server:\n" + "\n".join(logs))
        yield
    finally:
        for process in reversed(processes):
            process.kill()
            process.wait()
        os.environ.pop("KUBECONFIG", None)
        if before is not None:
            os.environ["KUBECONFIG"] = before
        shutil.rmtree(folder, ignore_errors=True)
