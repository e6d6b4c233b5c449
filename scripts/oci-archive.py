#!/usr/bin/env python3
"""Wraps one layer into an OCI image archive (image-spec 1.0: layout, index, manifest, configuration)."""

import argparse
import gzip
import hashlib
import io
import json
import os
import platform
import tarfile

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def digest_of(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def compress(source, target):
    """The same bytes give the same archive: no time and no name in it."""
    with open(source, "rb") as plain, open(target, "wb") as raw:
        with gzip.GzipFile(filename="", mode="wb", fileobj=raw, compresslevel=6, mtime=0) as packed:
            while block := plain.read(1 << 20):
                packed.write(block)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--layer", required=True, help="a tar of the root file system")
    parser.add_argument("--output", required=True)
    parser.add_argument("--name", required=True, help="name:tag")
    parser.add_argument("--entrypoint", required=True)
    parser.add_argument("--command", nargs=argparse.REMAINDER, default=[])
    options = parser.parse_args()

    packed = options.layer + ".gz"
    compress(options.layer, packed)

    def described(kind, digest, size, **more):
        return {"mediaType": f"application/vnd.oci.image.{kind}", "digest": f"sha256:{digest}", "size": size, **more}

    config = json.dumps({
        "architecture": ARCHITECTURES.get(platform.machine(), platform.machine()),
        "os": "linux",
        "config": {
            "Entrypoint": [options.entrypoint],
            "Cmd": options.command,
            "Env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"],
            "StopSignal": "SIGTERM",
        },
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest_of(options.layer)}"]},
    }).encode()
    layer_digest, config_digest = digest_of(packed), hashlib.sha256(config).hexdigest()
    manifest = json.dumps({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": described("config.v1+json", config_digest, len(config)),
        "layers": [described("layer.v1.tar+gzip", layer_digest, os.path.getsize(packed))],
    }).encode()
    manifest_digest = hashlib.sha256(manifest).hexdigest()
    names = {
        "org.opencontainers.image.ref.name": options.name.partition(":")[2] or "latest",
        "io.containerd.image.name": options.name if "/" in options.name else f"docker.io/library/{options.name}",
    }
    index = json.dumps({
        "schemaVersion": 2,
        "manifests": [described("manifest.v1+json", manifest_digest, len(manifest), annotations=names)],
    }).encode()

    with tarfile.open(options.output, "w") as archive:
        def put(name, content):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o644
            archive.addfile(entry, io.BytesIO(content))

        put("oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
        put("index.json", index)
        put(f"blobs/sha256/{config_digest}", config)
        put(f"blobs/sha256/{manifest_digest}", manifest)
        with open(packed, "rb") as file:
            entry = tarfile.TarInfo(f"blobs/sha256/{layer_digest}")
            entry.size, entry.mode = os.path.getsize(packed), 0o644
            archive.addfile(entry, file)


if __name__ == "__main__":
    main()
