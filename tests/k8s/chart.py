"""Tests of the Helm chart and the kustomize folders that need no running pods.

usage: chart.py [--update] [ONLY]     --update writes the golden files anew; ONLY runs checks with that in their name
With KUBEBUILDER_ASSETS every object is also sent to a real API server with --dry-run=server, into a namespace at Pod
Security level `restricted`. OPENCLAW_CRDS lists files with custom resources that it should know.
"""

import difflib
import json
import os
import pathlib
import re
import shutil
import sys
import tempfile

import yaml

import readme
from apiserver import api_server, assets
from common import CHART, HERE, KUSTOMIZE, ROOT, Report, dump, key, need, objects, require, run, template

VARIANTS = sorted((HERE / "variants").glob("*.yaml"))
NAMESPACE = "chart-test"
# Kustomize folder and the values that mean the same.
PAIRS = {"base": "default", "overlays/plain": "default", "overlays/trusted-proxy": "trusted-proxy", "overlays/monitoring": "monitoring"}
HELM_ONLY = ("app.kubernetes.io/version", "app.kubernetes.io/managed-by", "helm.sh/chart")


def lint(variant):
    run("helm", "lint", CHART, "--strict", "--kube-version", "1.35.0", "-f", variant)


def golden(variant, update):
    """The rendered text is what it was, except for the generated secret."""
    text = re.sub(r'^(  (?:token|password): )"[A-Za-z0-9+/=]{40,}"$', r'\1"<generated>"', template(variant).stdout, flags=re.M)
    # Dashboards are compared with their source elsewhere; here they would only repeat it.
    text = re.sub(r"^(  \S+\.json: \|-\n)(?:    .*\n|\n)+", r"\1    <dashboard>\n", text, flags=re.M)
    path = HERE / "golden" / variant.name
    if update:
        path.write_text(text)
        return "written"
    require(path.exists(), f"{path} is missing: run with --update")
    diff = list(difflib.unified_diff(path.read_text().splitlines(), text.splitlines(), "golden", "rendered", lineterm=""))
    require(not diff, "\n".join(diff[:40]) + "\nIf the change is wanted: bash .ci/dev chart --update")


def refusal(case):
    """The chart says no, in one readable message."""
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        json.dump(case["values"], file)
        file.flush()
        done = template(file.name, check=False)
    require(done.returncode != 0, f"accepted: {case['values']}")
    for words in case["says"]:
        require(words in done.stderr, f"{words!r} is not in:\n{done.stderr}")


def notes(variant):
    """Every command in the notes names what exists."""
    with tempfile.TemporaryDirectory() as folder:
        # Only `helm install` shows notes, and it wants a cluster: as the text of a YAML document they render without.
        copy = pathlib.Path(shutil.copytree(CHART, f"{folder}/chart"))
        lines = (CHART / "templates/NOTES.txt").read_text().splitlines()
        (copy / "templates/notes.yaml").write_text("text: |\n" + "".join(f"  {line}\n" for line in lines))
        rendered = run("helm", "template", "demo", copy, "-n", "ns", "--kube-version", "1.35.0", "-f", variant, "-s", "templates/notes.yaml")
    text = yaml.safe_load(rendered.stdout)["text"]
    made = objects(template(variant, release="demo", namespace="ns").stdout)
    names = {one["metadata"]["name"] for one in made}
    for kind, name in re.findall(r"(statefulset/|service/|get secret )(\S+)", text):
        given = yaml.safe_load(variant.read_text()).get("auth", {}).get("existingSecret")
        require(name in names or name == given, f"{kind}{name} does not exist")
    space = yaml.safe_load(variant.read_text()).get("namespaceOverride", "ns")
    require(f"kubectl -n {space} rollout status" in text, f"no next command in:\n{text}")
    plain = [one["name"] for one in yaml.safe_load(variant.read_text()).get("extraEnv", []) if "value" in one and one["name"].endswith("_KEY")]
    warned = re.findall(r"extraEnv has (\w+) as text", text)
    require(warned == plain, f"warned of {warned}, not of {plain}")
    has_test = any("helm.sh/hook" in one["metadata"].get("annotations", {}) for one in made)
    require(("helm -n ns test demo" in text) == has_test, f"helm test is offered and not there, or the other way round:\n{text}")


def as_a_part_of_another_chart():
    """A parent chart switches it on and off by a condition, and gives it a name, a registry and values."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(CHART, f"{folder}/charts/claw")
        dependency = {"name": "openclaw-gateway", "version": "*", "condition": "openclaw-gateway.enabled"}
        parent = {"apiVersion": "v2", "name": "parent", "version": "1.0.0", "dependencies": [dependency]}
        pathlib.Path(folder, "Chart.yaml").write_text(yaml.safe_dump(parent))
        for enabled in (True, False):
            given = {"global": {"imageRegistry": "images.example.org", "ours": 1}, "openclaw-gateway": {"enabled": enabled, "replicaCount": 0}}
            pathlib.Path(folder, "values.yaml").write_text(yaml.safe_dump(given))
            made = objects(run("helm", "template", "team", folder, "--kube-version", "1.35.0").stdout)
            pods = [one["spec"] for one in made if one["kind"] == "StatefulSet"]
            require(bool(made) == enabled and [one["replicas"] for one in pods] == [0] * enabled, f"enabled {enabled}: {list(map(key, made))}")
            images = [one["template"]["spec"]["containers"][0]["image"] for one in pods]
            require(all(image.startswith("images.example.org/openclaw-gateway:") for image in images), str(images))


def one_number():
    """The drain budget of the process and the pod's grace period come from one value."""
    for seconds in (0, 25, 300):
        rendered = {key(one): one for one in objects(template("", "--set", f"shutdown.graceSeconds={seconds}").stdout)}
        config = json.loads(rendered["ConfigMap/openclaw-gateway"]["data"]["openclaw.json"])
        pod = rendered["StatefulSet/openclaw-gateway"]["spec"]["template"]["spec"]
        require(config["gateway"]["shutdown"]["graceMs"] == seconds * 1000, "graceMs")
        require(pod["terminationGracePeriodSeconds"] == seconds + 15, "terminationGracePeriodSeconds")


def config_change_keeps_pods():
    """A change of the configuration changes the ConfigMap and nothing else."""
    before, after = (
        {key(one): one for one in objects(template("", *options).stdout) if one["kind"] != "Secret"}
        for options in ((), ("--set", "config.logging.level=debug"))
    )
    changed = [name for name in before if before[name] != after.get(name)]
    require(changed == ["ConfigMap/openclaw-gateway"], f"changed: {changed}")


def reduced(every):
    """Objects without what only Helm or only kustomize adds."""
    out = {}
    for one in every:
        if one["kind"] in ("Secret", "Namespace") or "helm.sh/hook" in one["metadata"].get("annotations", {}):
            continue
        one["metadata"].pop("namespace", None)
        for label in HELM_ONLY:
            one["metadata"].get("labels", {}).pop(label, None)
        for name, text in one.get("data", {}).items() if one["kind"] == "ConfigMap" else ():
            one["data"][name] = json.loads(text)
        out[key(one)] = one
    return out


def same_as_kustomize(folder, variant):
    """`kubectl kustomize` and `helm template` give the same objects."""
    token = KUSTOMIZE / folder / "token.txt"
    made = folder == "overlays/plain" and not token.exists()
    if made:
        token.write_text("only-for-this-test\n")
    try:
        plain = reduced(objects(run("kubectl", "kustomize", KUSTOMIZE / folder).stdout))
    finally:
        if made:
            token.unlink()
    chart = reduced(objects(template(HERE / "variants" / f"{variant}.yaml").stdout))
    require(plain.keys() == chart.keys(), f"kustomize has {sorted(plain)}, the chart {sorted(chart)}")
    for name, one in chart.items():
        diff = difflib.unified_diff(dump(one).splitlines(), dump(plain[name]).splitlines(), "chart", "kustomize", lineterm="")
        lines = list(diff)
        require(not lines, name + "\n" + "\n".join(lines[:40]))
    return f"{len(chart)} objects"


def sources():
    """What the chart holds copies of, by place in its `files`: a chart can only use files of its own folder."""
    files = {f"dashboards/{path.name}": path.read_bytes() for path in (ROOT / "deploy/grafana/dashboards").glob("*.json")}
    return {**files, "rules.yml": (ROOT / "deploy/prometheus/rules.yml").read_bytes()}


def copies_are_the_same():
    copies = {str(path.relative_to(CHART / "files")): path.read_bytes() for path in (CHART / "files").rglob("*") if path.is_file()}
    wanted = sources()
    require(wanted == copies, f"wanted {sorted(wanted)}, the chart has {sorted(copies)}, or their content differs: bash .ci/dev chart --update")
    return f"{len(copies)} files"


def copy_sources():
    shutil.rmtree(CHART / "files", ignore_errors=True)
    for name, content in sources().items():
        path = CHART / "files" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def readme_has_every_value():
    require(readme.README.read_text() == readme.with_table(), "values.yaml says something else: bash .ci/dev chart --update")


def links():
    """Links between the pages, and to headings in them, lead somewhere."""
    pages = [*ROOT.glob("docs/*.md"), *ROOT.glob("*.md"), readme.README]
    titles = {path.resolve(): {slug(line) for line in path.read_text().splitlines() if line.startswith("#")} for path in pages}
    dead, seen = [], 0
    for path in pages:
        for target, heading in re.findall(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]*))?\)", path.read_text()):
            seen += 1
            found = (path.parent / target).resolve() if target else path.resolve()
            if not found.exists() or (heading and heading not in titles.get(found, ())):
                dead.append(f"{path.relative_to(ROOT)}: {target}#{heading}")
    require(not dead, "\n".join(dead))
    return f"{seen} links in {len(pages)} pages"


def slug(line):
    """The anchor that a heading gets."""
    return re.sub(r"[^\w\- ]", "", line.lstrip("# ").lower()).replace(" ", "-")


def server_accepts(variant):
    """The API server takes every object, knows every field, and the pods keep to Pod Security `restricted`."""
    every = objects(template(variant, namespace=NAMESPACE).stdout)
    for one in list(every):
        if one["kind"] == "StatefulSet":
            pod = one["spec"]["template"]
            pod["spec"].setdefault("volumes", []).append({"name": "state", "emptyDir": {}})
            volumes = {volume["name"]: volume for volume in pod["spec"]["volumes"]}
            pod["spec"]["volumes"] = list(volumes.values())
            # A class that nobody made is refused for a pod, not for a StatefulSet.
            for absent in ("priorityClassName", "runtimeClassName"):
                pod["spec"].pop(absent, None)
            every.append({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "as-a-pod", "namespace": NAMESPACE, **pod["metadata"]}, "spec": pod["spec"]})
    for one in every:
        one["metadata"]["namespace"] = NAMESPACE
    known = {line.split()[-1] for line in run("kubectl", "api-resources", "--no-headers").stdout.splitlines()}
    absent = sorted({one["kind"] for one in every} - known)
    sent = [one for one in every if one["kind"] in known]
    done = run("kubectl", "apply", "--dry-run=server", "--validate=strict", "-f", "-", stdin=yaml.safe_dump_all(sent))
    require("Warning" not in done.stderr, done.stderr)
    return f"{len(sent)} objects" + (f", not known to this server: {', '.join(absent)}" if absent else "")


def server_refuses_what_is_unrestricted():
    """The namespace really enforces: a pod without the security settings is refused."""
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "open", "namespace": NAMESPACE}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    done = run("kubectl", "apply", "--dry-run=server", "-f", "-", stdin=yaml.safe_dump(pod), check=False)
    require('violates PodSecurity "restricted' in done.stderr, done.stdout + done.stderr)


def prepare_server():
    """The namespace, and the custom resources that others define."""
    for crd in os.environ.get("OPENCLAW_CRDS", "").split():
        run("kubectl", "apply", "--server-side", "-f", crd)
        run("kubectl", "wait", "--for=condition=Established", "--timeout=180s", "-f", crd)
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}}}
    run("kubectl", "apply", "-f", "-", stdin=yaml.safe_dump(space))


def main():
    words = [word for word in sys.argv[1:] if word != "--update"]
    update = "--update" in sys.argv
    need("helm"), need("kubectl")
    if update:
        copy_sources()
        readme.README.write_text(readme.with_table())
    report = Report(words[0] if words else "")
    for variant in VARIANTS:
        report.check(f"helm lint, {variant.stem}", lint, variant)
        report.check(f"golden, {variant.stem}", golden, variant, update)
        report.check(f"notes, {variant.stem}", notes, variant)
    for case in yaml.safe_load((HERE / "refusals.yaml").read_text()):
        report.check(f"refusal, {case['says'][0]}", refusal, case)
    report.check("as a part of another chart", as_a_part_of_another_chart)
    report.check("one number for the drain budget", one_number)
    report.check("a change of the configuration keeps the pod", config_change_keeps_pods)
    report.check("the chart's README has every value", readme_has_every_value)
    report.check("links of the pages", links)
    report.check("dashboards and alert rules are those of deploy", copies_are_the_same)
    for folder, variant in PAIRS.items():
        report.check(f"kustomize, {folder} is the chart with {variant}", same_as_kustomize, folder, variant)
    if not report.wants("server"):
        report.end()
    if assets():
        with api_server():
            if report.check("server, namespace and custom resources", prepare_server):
                report.check("server, the namespace enforces", server_refuses_what_is_unrestricted)
                for variant in VARIANTS:
                    report.check(f"server, {variant.stem}", server_accepts, variant)
    else:
        report.skip("server-side dry run", "KUBEBUILDER_ASSETS names no folder with etcd and kube-apiserver")
    report.end()


if __name__ == "__main__":
    main()
