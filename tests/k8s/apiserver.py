"""An API server with its etcd on loopback, from the programs in KUBEBUILDER_ASSETS; gone when the test ends."""

import contextlib
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile

from common import Failed, run, until


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def assets():
    """The folder with `etcd` and `kube-apiserver`, or nothing."""
    folder = os.environ.get("KUBEBUILDER_ASSETS", "")
    names = ("etcd", "kube-apiserver")
    return folder if folder and all(shutil.which(name, path=folder) for name in names) and shutil.which("openssl") else None


@contextlib.contextmanager
def api_server():
    """Runs one; KUBECONFIG points at it meanwhile."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="api-server-"))
    client, peer, port = free_port(), free_port(), free_port()
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
        try:
            until("the API server", 300, lambda: run("kubectl", "get", "--raw", "/readyz", check=False).returncode == 0)
        except Failed:
            raise Failed((folder / "kube-apiserver.log").read_text()[-2000:]) from None
        yield
    finally:
        for process in reversed(processes):
            process.kill()
            process.wait()
        os.environ.pop("KUBECONFIG", None)
        if before is not None:
            os.environ["KUBECONFIG"] = before
        shutil.rmtree(folder, ignore_errors=True)
