"""The chart in a real cluster: install, live changes, faults, upgrades, what stays after it is gone.

usage: cluster.py [ONLY]      ONLY runs the install and the checks with that in their name
Needs a cluster that may be disturbed, whose pods and Services this machine reaches, and a default StorageClass:
  OPENCLAW_TEST_KUBECONFIG   its kubeconfig (KUBECONFIG is not read, so that nothing happens to another cluster by mistake)
  OPENCLAW_TEST_HOST         where pods reach this machine; default 10.244.0.1
  OPENCLAW_TEST_IMAGE        an image that the nodes have, which then must reach busybox too; or
  OPENCLAW_TEST_IMPORT       a command that takes a `docker save` archive on its input; the image is then made of
  OPENCLAW_TEST_PROGRAM      this program; default: the newest of the release and the debug build
"""

import base64
import collections
import io
import json
import os
import pathlib
import re
import signal
import ssl
import subprocess
import sys
import tempfile
import time

import yaml

import image
from common import CHART, KUSTOMIZE, ROOT, Failed, Report, need, require, run, until
from doubles import Collector, Load, Model, Unreachable, request, says

NAMESPACE = "openclaw-test"
PLAIN_NAMESPACE = "openclaw"
IMAGE = "openclaw-gateway:test"
# What docs/backup.md runs in a pod, and an image that has it.
READER_TOOLS = ("sh", "sleep", "ls", "grep", "tar", "xargs", "rm")
READER_IMAGE = "busybox:1.37"
HOST = os.environ.get("OPENCLAW_TEST_HOST", "10.244.0.1")
POLL = 0.02


def k(*words, stdin=None, check=True, namespace=NAMESPACE, timeout=120):
    return run("kubectl", "-n", namespace, *words, stdin=stdin, check=check, timeout=timeout).stdout


def get(*words, namespace=NAMESPACE):
    return json.loads(k("get", *words, "-o", "json", namespace=namespace))


def exists(*words, namespace=NAMESPACE):
    return bool(k("get", *words, "--ignore-not-found", "-o", "name", namespace=namespace).strip())


class Release:
    """One installed chart."""

    def __init__(self, name, values):
        self.name, self.values = name, values
        self.full = f"{name}-openclaw-gateway"
        self.pod_name = f"{self.full}-0"

    def helm(self, verb, *options, check=True, wait=True):
        values = {"image": {"repository": IMAGE.rsplit(":", 1)[0], "tag": IMAGE.rsplit(":", 1)[1]}, **self.values}
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            yaml.safe_dump(values, file)
            file.flush()
            waiting = ["--wait", "--timeout", "120s"] if wait else []
            return run("helm", verb, self.name, CHART, "-n", NAMESPACE, "-f", file.name, *waiting, *options, check=check, timeout=180)

    def uninstall(self):
        run("helm", "uninstall", self.name, "-n", NAMESPACE, "--wait", "--ignore-not-found", timeout=180)

    def pod(self):
        return get("pod", self.pod_name)

    def is_ready(self):
        found = run("kubectl", "-n", NAMESPACE, "get", "pod", self.pod_name, "-o", "json", check=False)
        pod = json.loads(found.stdout) if found.returncode == 0 else {}
        conditions = {one["type"]: one["status"] for one in pod.get("status", {}).get("conditions", [])}
        return conditions.get("Ready") == "True" and "deletionTimestamp" not in pod["metadata"]

    def restarts(self):
        return self.pod()["status"]["containerStatuses"][0]["restartCount"]

    def identity(self):
        pod = self.pod()
        return pod["metadata"]["uid"], pod["status"]["containerStatuses"][0]["restartCount"]

    def address(self):
        service = get("service", self.full)["spec"]
        return service["clusterIP"], service["ports"][0]["port"]

    def token(self):
        (value,) = get("secret", f"{self.full}-auth")["data"].values()
        return base64.b64decode(value).decode()

    def ask(self, text, user=None, token=None):
        return through(self.address(), "/v1/chat/completions", says(text, user), self.token() if token is None else token)

    def metric(self, name):
        """The sum of a metric's samples whose name and labels match."""
        status, page = request(self.pod()["status"]["podIP"], 9464, "/metrics", timeout=5)
        require(status == 200, page)
        return sum(float(line.rsplit(" ", 1)[1]) for line in page.splitlines() if re.match(name, line))

    def config(self):
        return json.loads(get("configmap", self.full)["data"]["openclaw.json"])

    def put_config(self, text):
        """Writes the ConfigMap as `kubectl edit` would; the moment before it."""
        patch = json.dumps({"data": {"openclaw.json": text if isinstance(text, str) else json.dumps(text)}})
        at = time.monotonic()
        k("patch", "configmap", self.full, "--type=merge", "-p", patch)
        return at

    def node_pid(self):
        """The process of the gateway on this machine, if the node is this machine."""
        uid = self.pod()["metadata"]["uid"]
        for entry in pathlib.Path("/proc").iterdir():
            try:
                owned = entry.name.isdigit() and re.search(uid.replace("-", "[-_]"), (entry / "cgroup").read_text())
                if owned and (entry / "cmdline").read_bytes().endswith(b"openclaw\0gateway\0"):
                    return int(entry.name)
            except OSError:
                continue
        return None

    def file_changed_at(self, volume, kind):
        """Wall clock at which the kubelet swapped a volume's content, if the node is this machine."""
        for base in (os.environ.get("CLUSTER_DIR", "/var/tmp/cluster") + "/kubelet", "/var/lib/kubelet"):
            link = pathlib.Path(base, "pods", self.pod()["metadata"]["uid"], "volumes", f"kubernetes.io~{kind}", volume, "..data")
            if link.is_symlink():
                return link.lstat().st_mtime
        return None


def through(address, path, body=None, token=""):
    """One request through a Service, which may still refuse when the pod is ready: its node hears of that later."""
    def asked():
        try:
            return request(*address, path, body, token)
        except Unreachable:
            return None

    return until("the Service lets through", 20, asked)


def after_file(release, volume, kind, applied):
    changed = release.file_changed_at(volume, kind)
    return f", {1000 * (applied - changed):.0f} ms after the file changed" if changed else ""


def models(release, token):
    status, body = through(release.address(), "/v1/models", token=token)
    return body if status == 200 else ""


# --- checks, in this order


def installed(release):
    began = time.monotonic()
    release.helm("install")
    took = time.monotonic() - began
    pod = release.pod()
    started = pod["status"]["containerStatuses"][0]["state"]["running"]["startedAt"]
    ready = next(one["lastTransitionTime"] for one in pod["status"]["conditions"] if one["type"] == "Ready")
    return f"ready {took:.1f} s after helm install; container started {started}, ready {ready}"


def helm_test(release):
    done = run("helm", "test", release.name, "-n", NAMESPACE, "--logs", "--timeout", "60s", check=False, timeout=120)
    require(done.returncode == 0 and "Succeeded" in done.stdout, done.stdout + done.stderr + k("get", "events"))
    return "a handshake and a message from a pod"


def through_the_service(release, model):
    status, body = release.ask("through the service")
    require(status == 200 and json.loads(body)["choices"][0]["message"]["content"] == "echo", body)
    require(model.saw("through the service"), "the model did not see it")
    status, body = release.ask("no", token="wrong")
    require(status == 401, f"a wrong token: {status} {body}")


def restricted(release):
    """What the pod really has."""
    pod = release.pod()["spec"]
    require("kube-api-access" not in json.dumps(pod), "a service account token is mounted")
    require(get("namespace", NAMESPACE)["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted", "level")
    pid = release.node_pid()
    if not pid:
        return "the node is another machine: process not looked at"
    status = dict(line.split(":", 1) for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines() if ":" in line)
    root = next(line.split() for line in pathlib.Path(f"/proc/{pid}/mountinfo").read_text().splitlines() if line.split()[4] == "/")
    require("ro" in root[5].split(","), f"the root filesystem is mounted {root[5]}")
    require(status["Uid"].split() == ["65532"] * 4 and int(status["CapEff"], 16) == 0 and status["NoNewPrivs"].strip() == "1", str(status))
    require(status["Seccomp"].strip() == "2", "no seccomp filter")
    return "root read-only, uid 65532, no capabilities, no new privileges, seccomp"


def command_line_in_the_pod(release):
    out = k("exec", release.pod_name, "--", "openclaw", "gateway", "health")
    require("OK (" in out, out)


def same_values_change_nothing(release):
    kinds = "statefulset,service,configmap,secret,serviceaccount,networkpolicy,poddisruptionbudget"

    def versions():
        every = get(kinds, "-l", f"app.kubernetes.io/instance={release.name}")["items"]
        return {f"{one['kind']}/{one['metadata']['name']}": one["metadata"]["resourceVersion"] for one in every}

    before, pod = versions(), release.identity()
    release.helm("upgrade")
    after = versions()
    require(before == after, f"changed: {sorted(name for name in after if before.get(name) != after[name])}")
    require(pod == release.identity(), "another pod")
    return f"{len(after)} objects"


def config_applied_live(release):
    token, before = release.token(), release.identity()
    load = Load(release.address(), token, 4)
    until("load", 20, lambda: load.count() > 20)
    config = release.config()
    config["agents"]["list"].append({"id": "added"})
    at = release.put_config(config)
    until("openclaw/added in /v1/models", 150, lambda: "openclaw/added" in models(release, token), POLL)
    wall, took = time.time(), time.monotonic() - at
    answered, failures = load.stop()
    require(not failures, f"{len(failures)} failed: {failures[:3]}")
    require(before == release.identity(), "the pod was restarted")
    return f"applied {took:.2f} s after the ConfigMap" + after_file(release, "config", "configmap", wall) + f"; {answered} requests, 0 failed"


def secret_rotated_live(release):
    old, before = release.token(), release.identity()
    new = "rotated-" + base64.urlsafe_b64encode(os.urandom(24)).decode().strip("=")
    data = json.dumps({"data": {"token": base64.b64encode(new.encode()).decode()}})
    at = time.monotonic()
    k("patch", "secret", f"{release.full}-auth", "--type=merge", "-p", data)
    until("the new token is accepted", 150, lambda: models(release, new), 0.2)
    wall, took = time.time(), time.monotonic() - at
    require(through(release.address(), "/v1/models", token=old)[0] == 401, "the old token is still accepted")
    require(before == release.identity(), "the pod was restarted")
    release.helm("upgrade")
    require(release.token() == new, "helm upgrade put another token into the Secret")
    return f"in force {took:.2f} s after the Secret" + after_file(release, "auth", "secret", wall)


def telemetry_reaches_a_collector(release):
    """Switched on by the ConfigMap; the caller's trace arrives, and nothing of what was said."""
    good, before, collector = release.config(), release.identity(), Collector()
    otel = {"enabled": True, "endpoint": f"http://{HOST}:{collector.port}", "metrics": False}
    at = release.put_config({**good, "diagnostics": {"otel": otel}})
    trace = os.urandom(16)
    headers = {"traceparent": f"00-{trace.hex()}-{os.urandom(8).hex()}-01"}

    def arrived():
        status, body = request(*release.address(), "/v1/chat/completions", says("trace me"), release.token(), headers)
        require(status == 200, body)
        return collector.has("/v1/traces", trace)

    until("the caller's trace", 150, arrived, 0.5)
    took = time.monotonic() - at
    require(not collector.has("/v1/traces", b"trace me"), "what was said is in the trace")
    release.put_config(good)
    require(before == release.identity(), "the pod was restarted")
    return f"a trace arrived {took:.1f} s after the ConfigMap"


def broken_config_keeps_the_last_good(release):
    good, before = release.config(), release.identity()
    rejected = release.metric(r"openclaw_config_reloads_total\{.*rejected")
    release.put_config('{"gateway": {"mode": "local", "prot": 1}, ')
    until("a rejected reload", 150, lambda: release.metric(r"openclaw_config_reloads_total\{.*rejected") > rejected)
    require(release.is_ready() and release.ask("while broken")[0] == 200, "not served")
    held = json.loads(k("exec", release.pod_name, "--", "openclaw", "gateway", "call", "config.get", "--json", check=False) or "{}")
    require(held.get("valid") is False, f"config.get says valid: {held.get('valid')}")
    said = [line for line in k("logs", release.pod_name, "--tail=50").splitlines() if "config" in line and '"level":"error"' in line or '"warn"' in line]
    require(said, "nothing in the log")
    release.put_config(good)
    until("valid again", 150, lambda: json.loads(k("exec", release.pod_name, "--", "openclaw", "gateway", "call", "config.get", "--json", check=False) or "{}").get("valid"))
    require(before == release.identity(), "the pod was restarted")
    return f"log: {said[-1][:160]}"


def a_wedged_process_is_restarted(release):
    pid, before = release.node_pid(), release.restarts()
    if not pid:
        return "left out: the node is another machine"
    at = time.monotonic()
    os.kill(pid, signal.SIGSTOP)
    until("a restart", 120, lambda: release.restarts() == before + 1, 0.5)
    restarted = time.monotonic() - at
    until("readiness", 60, release.is_ready)
    require(release.ask("after the restart")[0] == 200, "not served")
    return f"restarted {restarted:.0f} s after SIGSTOP, served again after {time.monotonic() - at:.0f} s"


def a_busy_process_is_not(release):
    """A tenth of a processor and sixteen impatient clients, for longer than liveness would wait."""
    release.helm("upgrade", "--set", "resources.limits.cpu=100m,resources.requests.cpu=50m")
    before = release.identity()
    load = Load(release.address(), release.token(), 16)
    began, used = time.monotonic(), release.metric("process_cpu_seconds_total")
    while time.monotonic() - began < 60:
        require(release.identity() == before, "it was restarted")
        time.sleep(2)
    answered, failures = load.stop()
    used = release.metric("process_cpu_seconds_total") - used
    release.helm("upgrade")
    return f"60 s at its limit of 0.1 processors ({used:.1f} s used): {answered} requests answered, {len(failures)} failed, no restart"


def acknowledged_survives(release, model, name, disturb):
    """Conversations go on while the pod goes; afterwards each remembers every message whose answer had arrived."""
    token = release.token()
    load = Load(release.address(), token, 6, durable=f"{name}-", text=name)
    until("load", 30, lambda: load.count() > 30)
    disturb()
    until("readiness", 120, release.is_ready)
    seen = load.count()
    until("answers again", 60, lambda: load.count() > seen + 12)
    answered, failures = load.stop()
    for number, done in enumerate(load.done):
        last = f"recall-{name}-{number};"
        status, body = release.ask(last, f"{name}-{number}")
        require(status == 200, body)
        (said,) = model.saw(last)
        remembered = [text for text in said if text.startswith(name)]
        window = [text for _, text in done][-40:]
        missing = [text for text in window if text not in remembered]
        require(not missing, f"conversation {number} lost {missing}")
        require(len(remembered) == len(set(remembered)), f"conversation {number} repeats itself")
    kinds = collections.Counter(failure.split()[0] for _, _, failure in failures)
    return f"{answered} answered, {len(failures)} not ({dict(kinds)}), 0 lost; longest pause {load.longest_gap():.1f} s"


def in_flight(release, model, text):
    """A request whose run is at work for some seconds, as a process whose output is the answer."""
    token, address = release.token(), release.address()
    client = subprocess.Popen(
        ["curl", "-sS", "-m", "60", "--retry", "9", "--retry-delay", "1", "--retry-connrefused", f"http://{address[0]}:{address[1]}/v1/chat/completions", "-H", f"Authorization: Bearer {token}",
         "-H", "content-type: application/json", "-d", json.dumps(says(f"{text} [[slow:4000]]"))],
        stdout=subprocess.PIPE, text=True)
    until("the model is asked", 20, lambda: model.saw(text))
    return client


def a_run_in_flight_ends_before_the_pod(release, model):
    client, before = in_flight(release, model, "in flight"), release.identity()[0]
    k("delete", "pod", release.pod_name, "--wait=false")
    answer, _ = client.communicate(timeout=60)
    require("echo" in answer, answer)
    until("another pod", 90, lambda: release.is_ready() and release.identity()[0] != before)


def recalls(release, model, user, text):
    """Whether the conversation of `user` still holds `text`."""
    question = f"what was it, {text}?"
    require(release.ask(question, user)[0] == 200, "not served")
    *_, said = model.saw(question)
    return text in said


def a_node_drains(release, model):
    """The budget decides whether the pod may go; if it may, its run ends first, and its state is there afterwards."""
    release.helm("upgrade", "--set", "podDisruptionBudget.maxUnavailable=0")
    node, before = release.pod()["spec"]["nodeName"], release.identity()[0]
    drain = ["kubectl", "drain", node, "--ignore-daemonsets", "--delete-emptydir-data", f"--pod-selector=app.kubernetes.io/instance={release.name}"]
    require(release.ask("remember the drain", "drain")[0] == 200, "not served")
    try:
        until("the budget of 0", 30, lambda: get("pdb", release.full)["status"].get("disruptionsAllowed") == 0)
        refused = run(*drain, "--timeout=8s", check=False)
        require(refused.returncode != 0 and "disruption budget" in refused.stderr, refused.stdout + refused.stderr)
        require(release.is_ready() and release.identity()[0] == before, "the pod went although the budget is 0")
        release.helm("upgrade")
        until("the budget of 1", 30, lambda: get("pdb", release.full)["status"].get("disruptionsAllowed") == 1)
        client, began = in_flight(release, model, "during the drain"), time.monotonic()
        run(*drain, "--timeout=60s")
        took = time.monotonic() - began
        answer, _ = client.communicate(timeout=60)
        require("echo" in answer, f"the run in flight was cut: {answer}")
    finally:
        run("kubectl", "uncordon", node)
    until("another pod", 120, lambda: release.is_ready() and release.identity()[0] != before)
    require(recalls(release, model, "drain", "remember the drain"), "the conversation is gone")
    return f"with a budget of 0 it waits; with 1 the run ended and the pod was gone {took:.1f} s after kubectl drain"


def page(name, heading):
    """The blocks of code below a heading of a page, by language, as they would be typed for the release of these tests."""
    text = (ROOT / "docs" / name).read_text().split(f"\n## {heading}\n")[1].split("\n## ")[0]
    text = text.replace("-n openclaw ", f"-n {NAMESPACE} ").replace("image: busybox:1.37", f"image: {READER_IMAGE}")
    blocks = collections.defaultdict(list)
    for language, block in re.findall(r"```(\w+)\n(.*?)```", text, flags=re.S):
        blocks[language].append(block)
    return blocks


def a_backup_is_restored(release, model):
    """The lines of docs/backup.md: an archive, a lost volume, the archive put back."""
    backup, restore = page("backup.md", "In Kubernetes"), page("backup.md", "In Kubernetes: restore")
    (reader,) = (block for block in backup["yaml"] if "# reader.yaml" in block)
    require(release.ask("remember the backup", "backup")[0] == 200, "not served")
    with tempfile.TemporaryDirectory() as folder:
        pathlib.Path(folder, "reader.yaml").write_text(reader)

        def typed(lines):
            began = time.monotonic()
            run("bash", "-ec", f"cd {folder}\n{lines}")
            return time.monotonic() - began

        paused = typed(backup["sh"][0])
        until("readiness", 60, release.is_ready)
        k("scale", "statefulset", release.full, "--replicas=0")
        k("delete", "pvc", f"state-{release.pod_name}")
        k("scale", "statefulset", release.full, "--replicas=1")
        until("an empty gateway", 60, release.is_ready)
        require(not recalls(release, model, "backup", "remember the backup"), "the volume was not lost")
        took = typed(restore["sh"][0])
        size = pathlib.Path(folder, "claw.tar").stat().st_size
    require(recalls(release, model, "backup", "remember the backup"), "the conversation is gone")
    return f"backed up in {paused:.0f} s, restored in {took:.0f} s, archive of {size // 1024} KiB"


def another_size_of_the_volume(release):
    """Refused with the way that works; that way keeps the pod."""
    before = release.identity()
    refused = release.helm("upgrade", "--set", "persistence.size=3Gi", check=False)
    for words in ("persistence.size is 3Gi", "claims 2Gi", f"delete statefulset {release.full} --cascade=orphan"):
        require(words in refused.stderr, refused.stderr)
    release.helm("upgrade", "--set", "persistence.size=2048Mi", "--dry-run=server", wait=False)
    _, orphan, _ = page("upgrade.md", "In Kubernetes: another size of the volume")["sh"][0].splitlines()
    run("bash", "-ec", orphan)
    larger = Release(release.name, {**release.values, "persistence": {"size": "3Gi"}})
    larger.helm("upgrade")
    claimed = get("statefulset", release.full)["spec"]["volumeClaimTemplates"][0]["spec"]["resources"]["requests"]["storage"]
    require(claimed == "3Gi", f"the set claims {claimed}")
    run("bash", "-ec", orphan)
    release.helm("upgrade")
    require(before == release.identity(), "another pod")


def a_required_channel_decides_readiness(release):
    """A required channel that cannot be up takes the pod out of the Service, and nothing else."""
    good, before, pod = release.config(), release.identity(), release.pod()["status"]["podIP"]
    config = {**good, "channels": {"telegram": {}}, "gateway": {**good["gateway"], "readiness": {"requiredChannels": ["telegram"]}}}

    def addresses():
        slices = get("endpointslice", "-l", f"kubernetes.io/service-name={release.full}")["items"]
        return [one for each in slices for one in each.get("endpoints") or [] if one["conditions"].get("ready")]

    at = release.put_config(config)
    until("the pod is not ready", 150, lambda: not release.is_ready())
    took = time.monotonic() - at
    until("the Service has no address", 30, lambda: not addresses())
    status, body = request(pod, 18789, "/readyz", token=release.token())
    require(status == 503 and json.loads(body)["failing"] == ["telegram"], f"{status} {body}")
    said = k("exec", release.pod_name, "--", "openclaw", "gateway", "ready", check=False)
    require("telegram" in said, f"the command line says: {said}")
    status, body = request(pod, 9464, "/healthz")
    require(status == 200, f"liveness: {status} {body}")
    release.put_config(good)
    until("readiness", 150, release.is_ready)
    until("the Service has an address", 30, addresses)
    require(before == release.identity(), "the pod was restarted")
    require(release.ask("with no channel required")[0] == 200, "not served")
    return f"out of the Service {took:.1f} s after the ConfigMap; still alive"


def a_failed_upgrade_rolls_back_by_itself(release):
    release.helm("upgrade", "--set", "image.tag=absent", wait=False)
    until("the new pod cannot start", 90, lambda: not release.is_ready() and "Image" in k("get", "pod", release.pod_name, check=False))
    began = time.monotonic()
    run("helm", "rollback", release.name, "-n", NAMESPACE, "--wait", "--timeout", "120s", timeout=180)
    require(release.ask("after the rollback")[0] == 200, "not served")
    return f"served {time.monotonic() - began:.0f} s after helm rollback"


def a_good_upgrade_is_rolled_back(release, model):
    """Back and forth between two revisions: configuration and pod are those of the revision, conversations are all."""
    require(release.ask("before the upgrade", "revisions")[0] == 200, "not served")
    agents = {"agents": {**release.values["config"]["agents"], "list": [{"id": "main", "default": True}, {"id": "upgraded"}]}}
    newer = Release(release.name, {**release.values, "podAnnotations": {"revision": "newer"}, "config": {**release.values["config"], **agents}})
    newer.helm("upgrade")
    require("openclaw/upgraded" in models(release, release.token()), "the new revision is not in force")
    require(release.ask("after the upgrade", "revisions")[0] == 200, "not served")
    began = time.monotonic()
    run("helm", "rollback", release.name, "-n", NAMESPACE, "--wait", "--timeout", "120s", timeout=180)
    took = time.monotonic() - began
    until("another pod", 90, lambda: release.is_ready() and "revision" not in release.pod()["metadata"]["annotations"])
    require("openclaw/upgraded" not in models(release, release.token()), "the old revision is not in force")
    for text in ("before the upgrade", "after the upgrade"):
        require(recalls(release, model, "revisions", text), f"lost: {text}")
    return f"rolled back in {took:.0f} s; both sides of it remembered"


def a_second_replica_gets_nothing(release):
    refused = release.helm("upgrade", "--set", "replicaCount=2", check=False)
    require("owns its state directory alone" in refused.stderr, refused.stderr)
    k("scale", "statefulset", release.full, "--replicas=2")
    until("the second pod", 60, lambda: exists("pod", f"{release.full}-1"))
    k("wait", "--for=condition=Ready", f"pod/{release.full}-1", "--timeout=60s")
    slices = get("endpointslice", "-l", f"kubernetes.io/service-name={release.full}")["items"]
    pods = [one["targetRef"]["name"] for each in slices for one in each["endpoints"]]
    require(pods == [release.pod_name], f"the Service sends to {pods}")
    k("scale", "statefulset", release.full, "--replicas=1")
    k("wait", "--for=delete", f"pod/{release.full}-1", "--timeout=90s")
    k("delete", "pvc", f"state-{release.full}-1", "--ignore-not-found")


def the_volume_stays(release, model):
    require(release.ask("remember the heron", "stay")[0] == 200, "not served")
    release.uninstall()
    require(exists("pvc", f"state-{release.pod_name}"), "the claim is gone")
    until("the pod goes", 60, lambda: not exists("pod", release.pod_name))
    release.helm("install")
    require(recalls(release, model, "stay", "remember the heron"), "the conversation is gone")


def the_volume_goes_if_asked(release):
    release.helm("upgrade", "--set", "persistence.retain.whenDeleted=false")
    release.uninstall()
    until("the claim goes", 60, lambda: not exists("pvc", f"state-{release.pod_name}"))


def one_volume_has_one_owner(model):
    """Two gateways on one claim: the second says who holds it and stays out."""
    claim = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "shared"}, "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}
    k("apply", "-f", "-", stdin=yaml.safe_dump(claim))
    first, second = (Release(name, {**values(model), "persistence": {"existingClaim": "shared"}}) for name in ("one", "two"))
    first.helm("install")
    second.helm("install", wait=False)
    pod = until("the second ends", 90, lambda: next((one for one in get("pod", "-l", "app.kubernetes.io/instance=two")["items"] if one["status"].get("containerStatuses", [{}])[0].get("restartCount", 0) > 0), None))
    ended = pod["status"]["containerStatuses"][0]["lastState"]["terminated"]
    log = k("logs", second.pod_name, "--previous", check=False)
    require(ended["exitCode"] == 75, f"exit code {ended['exitCode']}: {log}")
    require(first.is_ready() and first.ask("still here")[0] == 200, "the first is disturbed")
    for release in (first, second):
        release.uninstall()
    k("delete", "pvc", "shared")
    said = f"already running (pid 1 on {first.pod_name})"
    require(said in log, f"it does not say who holds it: {log}")
    require(said in ended.get("message", ""), f"kubectl describe pod does not say it: {ended}")
    return log.strip().splitlines()[0][:160]


def everything_by_reference(model):
    """ConfigMap, password and account of the user's own; gRPC probes; a user that nobody knows, as OpenShift chooses it."""
    password = "password-" + base64.urlsafe_b64encode(os.urandom(18)).decode()
    config = {"gateway": {"mode": "local", "auth": {"mode": "password"}, "http": {"endpoints": {"chatCompletions": {"enabled": True}}}}, **provider(model)}
    k("create", "configmap", "my-config", f"--from-literal=openclaw.json={json.dumps(config)}")
    k("create", "secret", "generic", "my-secret", f"--from-literal=pw={password}")
    k("create", "serviceaccount", "my-account")
    release = Release("ref", {"existingConfigMap": "my-config", "auth": {"mode": "password", "existingSecret": "my-secret", "existingSecretKey": "pw"},
                              "serviceAccount": {"create": False, "name": "my-account"}, "probeType": "grpc", "persistence": {"enabled": False},
                              "podSecurityContext": {"runAsUser": 1000720000, "runAsGroup": 0, "fsGroup": 1000720000}})
    release.helm("install")
    require(release.ask("with a password", token=password)[0] == 200, "not served")
    helm_test(release)
    release.uninstall()


def tls_of_its_own(model):
    """The values of docs/tls.md; a renewed certificate is presented by the same process."""
    def certificate(name):
        with tempfile.TemporaryDirectory() as folder:
            paths = [f"{folder}/tls.key", f"{folder}/tls.crt"]
            run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}", "-keyout", paths[0], "-out", paths[1])
            secret = k("create", "secret", "tls", "claw-tls", f"--key={paths[0]}", f"--cert={paths[1]}", "--dry-run=client", "-o", "yaml")
            k("apply", "-f", "-", stdin=secret)
            return pathlib.Path(paths[1]).read_text()

    first = certificate("first.example.org")
    given = yaml.safe_load(page("tls.md", "In Kubernetes")["yaml"][0])
    release = Release("tls", {**given, "config": {**given["config"], **provider(model)}, "persistence": {"enabled": False}})
    release.helm("install")
    before = release.identity()
    until("the certificate", 20, lambda: presented(release) == first)
    second, at = certificate("second.example.org"), time.monotonic()
    until("the renewed certificate", 150, lambda: presented(release) == second)
    took = time.monotonic() - at
    require(before == release.identity(), "the pod was restarted")
    release.uninstall()
    return f"presented {took:.1f} s after the Secret"


def presented(release):
    """The certificate of a release, or nothing while its Service does not let through."""
    try:
        return ssl.get_server_certificate(release.address(), timeout=5)
    except OSError:
        return None


def kustomize_plain(_):
    """The kustomize overlay, as its page says."""
    token = KUSTOMIZE / "overlays/plain/token.txt"
    require(not token.exists(), f"{token} exists: move it away")
    try:
        token.write_text("kustomize-token-0123456789\n")
        text = run("kubectl", "kustomize", KUSTOMIZE / "overlays/plain").stdout
    finally:
        token.unlink(missing_ok=True)
    text = re.sub(r"image: openclaw-gateway:\S+", f"image: {IMAGE}", text)
    try:
        run("kubectl", "apply", "-f", "-", stdin=text)
        k("rollout", "status", "statefulset/openclaw-gateway", "--timeout=120s", namespace=PLAIN_NAMESPACE, timeout=150)
        service = get("service", "openclaw-gateway", namespace=PLAIN_NAMESPACE)["spec"]
        status, body = through((service["clusterIP"], 18789), "/v1/chat/completions", says("who"), "kustomize-token-0123456789")
        require(status == 200 and "demo" in body, body)
    finally:
        run("kubectl", "delete", "namespace", PLAIN_NAMESPACE, "--ignore-not-found", timeout=180)


# --- around them


def provider(model):
    return {
        "models": {"providers": {"double": {"baseUrl": f"http://{HOST}:{model.port}/v1", "api": "openai-completions", "apiKey": "none", "models": [{"id": "m", "name": "m"}]}}},
        "agents": {"defaults": {"model": {"primary": "double/m"}}, "list": [{"id": "main", "default": True}]},
    }


def values(model):
    return {"config": provider(model)}


def prepare():
    kubeconfig = os.environ.get("OPENCLAW_TEST_KUBECONFIG") or sys.exit("OPENCLAW_TEST_KUBECONFIG is not set: it names the kubeconfig of a cluster that may be disturbed")
    os.environ["KUBECONFIG"] = kubeconfig
    need("helm"), need("kubectl"), need("curl"), need("openssl")
    global IMAGE, READER_IMAGE
    if os.environ.get("OPENCLAW_TEST_IMAGE"):
        IMAGE = os.environ["OPENCLAW_TEST_IMAGE"]
    else:
        builds = [pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"), kind, "openclaw") for kind in ("release", "debug")]
        built = sorted((path for path in builds if path.exists()), key=lambda path: path.stat().st_mtime)
        program = os.environ.get("OPENCLAW_TEST_PROGRAM") or (built[-1] if built else None)
        program or sys.exit(f"none of {[str(path) for path in builds]} exists: cargo build --release")
        importer = os.environ.get("OPENCLAW_TEST_IMPORT") or sys.exit("set OPENCLAW_TEST_IMAGE or OPENCLAW_TEST_IMPORT")
        READER_IMAGE = "reader:test"
        for make, what, name in ((image.archive, program, IMAGE), (image.tools, READER_TOOLS, READER_IMAGE)):
            archive = io.BytesIO()
            make(what, f"docker.io/library/{name}", archive)
            subprocess.run(importer, shell=True, input=archive.getvalue(), check=True, stdout=subprocess.DEVNULL)
    run("kubectl", "delete", "namespace", NAMESPACE, PLAIN_NAMESPACE, "--ignore-not-found", timeout=240)
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": {"pod-security.kubernetes.io/enforce": "restricted"}}}
    run("kubectl", "apply", "-f", "-", stdin=yaml.safe_dump(space))
    until("the default account", 30, lambda: exists("serviceaccount", "default"))


def main():
    prepare()
    model = Model()
    release = Release("claw", values(model))
    report = Report(sys.argv[1] if len(sys.argv) > 1 else "")
    only, report.only = report.only, ""
    if not report.check("helm install becomes ready", installed, release):
        print(k("describe", "pods", check=False) + k("logs", release.pod_name, check=False))
        report.end()
    report.only = only
    report.check("helm test", helm_test, release)
    report.check("an OpenAI request through the Service", through_the_service, release, model)
    report.check("the pod is restricted and its root read-only", restricted, release)
    report.check("the command line in the pod", command_line_in_the_pod, release)
    report.check("helm upgrade with the same values changes nothing", same_values_change_nothing, release)
    report.check("a ConfigMap change is applied under load", config_applied_live, release)
    report.check("a rotated Secret is in force", secret_rotated_live, release)
    report.check("telemetry reaches a collector", telemetry_reaches_a_collector, release)
    report.check("a broken ConfigMap changes nothing and says so", broken_config_keeps_the_last_good, release)
    report.check("a required channel decides readiness", a_required_channel_decides_readiness, release)
    report.check("a run in flight ends before its pod", a_run_in_flight_ends_before_the_pod, release, model)
    delete = lambda: k("delete", "pod", release.pod_name)  # noqa: E731
    report.check("a deleted pod loses nothing acknowledged", acknowledged_survives, release, model, "deleted", delete)
    kill = lambda: k("delete", "pod", release.pod_name, "--grace-period=0", "--force")  # noqa: E731
    report.check("a killed pod loses nothing acknowledged", acknowledged_survives, release, model, "killed", kill)
    roll = lambda: release.helm("upgrade", "--set-string", "podAnnotations.roll=1")  # noqa: E731
    report.check("a rolling upgrade loses nothing acknowledged", acknowledged_survives, release, model, "rolled", roll)
    report.check("a drained node waits for runs and budget", a_node_drains, release, model)
    report.check("a good upgrade is rolled back", a_good_upgrade_is_rolled_back, release, model)
    report.check("a failed upgrade is rolled back without hands", a_failed_upgrade_rolls_back_by_itself, release)
    report.check("a backup is restored as the page says", a_backup_is_restored, release, model)
    report.check("another size of the volume is refused, and made as the page says", another_size_of_the_volume, release)
    report.check("liveness restarts a wedged process", a_wedged_process_is_restarted, release)
    report.check("liveness leaves a busy process alone", a_busy_process_is_not, release)
    report.check("a second replica gets nothing", a_second_replica_gets_nothing, release)
    report.check("the volume stays after helm uninstall", the_volume_stays, release, model)
    report.check("the volume goes if the values say so", the_volume_goes_if_asked, release)
    release.uninstall()
    report.check("one volume has one owner", one_volume_has_one_owner, model)
    report.check("configuration, secret and account by reference; gRPC probes", everything_by_reference, model)
    report.check("TLS of its own, with a renewed certificate", tls_of_its_own, model)
    report.check("kustomize, the plain overlay", kustomize_plain, model)
    run("kubectl", "delete", "namespace", NAMESPACE, timeout=240)
    report.end()


if __name__ == "__main__":
    try:
        main()
    except Failed as error:
        sys.exit(str(error))
