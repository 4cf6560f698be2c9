"""Container images of programs of this machine, as `docker save` would write them, without a container engine.

usage: image.py PROGRAM NAME > ARCHIVE     the gateway: paths, user and variables are those of the Dockerfile
Each has its programs, the shared libraries that they name, and a CA bundle.
"""

import hashlib
import io
import json
import pathlib
import platform
import re
import shutil
import subprocess
import sys
import tarfile

CA_BUNDLE = "/etc/ssl/certs/ca-certificates.crt"


def libraries(program):
    """What the loader would map; nothing for a static program."""
    listed = subprocess.run(["ldd", program], capture_output=True, text=True).stdout
    return sorted(set(re.findall(r"(/\S+) \(0x", listed)))


def layer(programs):
    """One tar with everything, the same bytes for the same input; `programs` by their place in it."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for folder, mode in (("tmp", 0o1777), ("config", 0o755), ("state", 0o775)):
            info = tarfile.TarInfo(folder)
            info.type, info.mode, info.uid = tarfile.DIRTYPE, mode, 65532 if folder == "state" else 0
            tar.addfile(info)
        files = {**programs, **{path: path for program in programs.values() for path in libraries(program)}}
        if pathlib.Path(CA_BUNDLE).exists():
            files[CA_BUNDLE] = CA_BUNDLE
        for target, source in files.items():
            content = pathlib.Path(source).resolve().read_bytes()
            info = tarfile.TarInfo(target.lstrip("/"))
            info.size, info.mode = len(content), 0o644 if target == CA_BUNDLE else 0o755
            tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


def archive(program, name, out):
    """Writes the image of a gateway to a binary stream."""
    write({"/usr/local/bin/openclaw": program}, ["openclaw"], ["gateway"], name, out)


def tools(names, name, out):
    """Writes an image with programs of this machine, found on PATH, to a binary stream."""
    found = {f"/usr/local/bin/{one}": shutil.which(one) for one in names}
    write({**found, "/bin/sh": found["/usr/local/bin/sh"]}, [], ["sh"], name, out)


def write(programs, entrypoint, command, name, out):
    content = layer(programs)
    config = json.dumps({
        "architecture": {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine()),
        "os": "linux",
        "config": {
            "Entrypoint": entrypoint,
            "Cmd": command,
            "User": "65532:0",
            "Env": ["PATH=/usr/local/bin", "HOME=/state", "OPENCLAW_STATE_DIR=/state", "OPENCLAW_CONFIG_PATH=/config/openclaw.json"],
        },
        "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(content).hexdigest()]},
    }).encode()
    manifest = json.dumps([{"Config": "config.json", "RepoTags": [name], "Layers": ["layer.tar"]}]).encode()
    with tarfile.open(fileobj=out, mode="w|") as tar:
        for file, data in (("manifest.json", manifest), ("config.json", config), ("layer.tar", content)):
            info = tarfile.TarInfo(file)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    archive(sys.argv[1], sys.argv[2], sys.stdout.buffer)
