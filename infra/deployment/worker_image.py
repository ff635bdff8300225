"""The worker's image: built of this checkout, sent to the stack's own repository.

Its tag says what is in it: a hash of the Dockerfile, of every file that it copies and of the build arguments.
So an image that is there already is neither built nor sent again, and a task definition that names a tag names
one image for ever.

Reference: Amazon ECR User Guide, "Pushing a Docker image" and "Private registry authentication".
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import shlex
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from infra.deployment.target import Target
from infra.errors import BuildFailed

DOCKERFILE = Path("gpu_container") / "Dockerfile"
#: every instance type of the template has it
PLATFORM = "linux/amd64"
_TAG_DIGITS = 24
_BOUND = re.compile(r"--mount=(\S+)")


def tag(root: Path, arguments: Mapping[str, str]) -> str:
    """The tag of the image that ``root`` would give with these build arguments."""
    digest = hashlib.sha256()
    for path in _files(root):
        content = hashlib.sha256((root / path).read_bytes()).hexdigest()
        digest.update(f"{path.as_posix()}\0{content}\n".encode())
    digest.update(json.dumps(dict(arguments), sort_keys=True).encode())
    return digest.hexdigest()[:_TAG_DIGITS]


def is_there(target: Target, repository: str, image_tag: str) -> bool:
    """Whether the repository (its URI) has an image of that tag."""
    ecr = target.client("ecr")
    try:
        ecr.describe_images(repositoryName=_name(repository), imageIds=[{"imageTag": image_tag}])
    except (ecr.exceptions.ImageNotFoundException, ecr.exceptions.RepositoryNotFoundException):
        return False
    return True


def build(
    builder: str, root: Path, local: str, arguments: Mapping[str, str], models: Path | None = None
) -> None:
    """Build the image and call it ``local`` on this machine.

    ``models`` is a folder of model files at hand. The tag does not depend on it: the build takes only those
    that have the published hash.

    Raises:
        BuildFailed: the builder did not end well.
    """
    given = [part for name, value in arguments.items() for part in ("--build-arg", f"{name}={value}")]
    given += ["--build-context", f"models={models}"] if models else []
    # podman and buildah make OCI images unless told otherwise, and those have no HEALTHCHECK
    given += ["--format", "docker"] if Path(builder).name != "docker" else []
    # Attestations would be manifests of their own, and the repository keeps only so many.
    environment = {**os.environ, "BUILDX_NO_DEFAULT_ATTESTATIONS": "1"}
    _run(
        [builder, "build", "--platform", PLATFORM, "--file", str(DOCKERFILE), *given, "--tag", local, "."],
        cwd=root,
        environment=environment,
    )


def push(target: Target, builder: str, local: str, repository: str, image_tag: str) -> None:
    """Send the image to the repository, and leave no login behind.

    Raises:
        BuildFailed: it did not arrive.
    """
    registry = repository.partition("/")[0]
    token = target.client("ecr").get_authorization_token()["authorizationData"][0]["authorizationToken"]
    user, _, password = base64.b64decode(token).decode().partition(":")
    remote = f"{repository}:{image_tag}"
    _run([builder, "tag", local, remote])
    # By its standard input: a command line is there for everyone on this machine to read.
    _run([builder, "login", "--username", user, "--password-stdin", registry], given=password)
    try:
        _run([builder, "push", remote])
    finally:
        subprocess.run([builder, "logout", registry], capture_output=True, check=False)
    if not is_there(target, repository, image_tag):
        raise BuildFailed(f"{builder} has sent the image, but {remote} is not in the repository.")


def remove_all(target: Target, repository: str) -> int:
    """Delete every image of the repository; returns how many."""
    ecr, name, count = target.client("ecr"), _name(repository), 0
    try:
        pages = list(ecr.get_paginator("list_images").paginate(repositoryName=name))
    except ecr.exceptions.RepositoryNotFoundException:
        return 0
    for page in pages:
        if page["imageIds"]:
            ecr.batch_delete_image(repositoryName=name, imageIds=page["imageIds"])
            count += len(page["imageIds"])
    return count


def copied(dockerfile: str) -> list[str]:
    """What the Dockerfile takes from its context, by COPY, ADD and bind mounts; paths as written there.

    Raises:
        BuildFailed: it takes everything, so that no file can be said not to be in the image.
    """
    sources: list[str] = []
    for line in re.sub(r"\\\n", " ", dockerfile).splitlines():
        words = shlex.split(line, comments=True) if re.match(r"\s*(COPY|ADD)\s", line, re.IGNORECASE) else []
        flags = [word for word in words if word.startswith("--")]
        if not any(flag.startswith("--from=") for flag in flags):
            sources += [word for word in words[1:-1] if word not in flags]
        for mount in _BOUND.findall(line):
            options = dict(option.partition("=")[::2] for option in mount.split(","))
            if options.get("type", "bind") == "bind" and "from" not in options:
                sources += [options[name] for name in ("source", "src") if name in options]
    if any(Path(source) == Path() for source in sources):
        raise BuildFailed("The Dockerfile copies its whole context: name the folders that it needs.")
    return sources


def _files(root: Path) -> Iterator[Path]:
    """Everything that the image is made of, relative to ``root``, in one order everywhere."""
    found = {DOCKERFILE}
    for source in copied((root / DOCKERFILE).read_text(encoding="utf-8")):
        for path in root.glob(source.removeprefix("/").rstrip("/")):
            inside = path.rglob("*") if path.is_dir() else [path]
            found |= {file.relative_to(root) for file in inside if file.is_file()}
    found = {file for file in found if "__pycache__" not in file.parts}
    return iter(sorted(found, key=Path.as_posix))


def _name(repository: str) -> str:
    """The repository's name out of its URI."""
    return repository.partition("/")[2]


def _run(
    command: Sequence[str],
    *,
    cwd: Path | None = None,
    given: str | None = None,
    environment: Mapping[str, str] | None = None,
) -> None:
    quiet = subprocess.DEVNULL if given is not None else None  # of a login there is nothing to tell
    ended = subprocess.run(command, cwd=cwd, input=given, text=True, stdout=quiet, env=environment, check=False)
    if ended.returncode != 0:
        raise BuildFailed(
            f"'{Path(command[0]).name} {command[1]}' ended with status {ended.returncode}; see above. "
            "Nothing that runs was changed; mend it and run the same command again."
        )
