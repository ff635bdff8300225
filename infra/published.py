"""The model files that Maquette can use, as their authors published them: addresses, sizes, SHA-256."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from infra.errors import BadConfiguration

#: the name of a checkpoint after its conversion
CONVERTED = "model.safetensors"


@dataclass(frozen=True)
class Layout:
    """Names, types and shapes of a checkpoint's tensors."""

    tensors: int
    parameters: int
    #: of one line ``name<TAB>type<TAB>shape`` per tensor, sorted: ``decoder.layers.0.bias	F32	64``
    sha256: str

    @classmethod
    def of(cls, entries: Mapping[str, tuple[str, tuple[int, ...]]]) -> Layout:
        """The layout of tensors given as name → (type as safetensors calls it, shape)."""
        lines = [
            f"{name}\t{kind}\t{'x'.join(map(str, shape))}\n" for name, (kind, shape) in sorted(entries.items())
        ]
        parameters = sum(math.prod(shape) for _, shape in entries.values())
        return cls(len(lines), parameters, hashlib.sha256("".join(lines).encode()).hexdigest())

    def __str__(self) -> str:
        return f"{self.tensors:,} tensors with {self.parameters:,} numbers"


@dataclass(frozen=True)
class PublishedFile:
    """One file as its authors published it."""

    name: str
    sha256: str
    #: bytes; None where only the hash is known
    size: int | None = None


@dataclass(frozen=True)
class Checkpoint(PublishedFile):
    """A pickled state dict, from which :data:`CONVERTED` is made."""

    layout: Layout = field(kw_only=True)


@dataclass(frozen=True)
class Model:
    """A model as published: where, which files, and the variable that says where it lies here."""

    name: str
    #: environment variable with the folder, or with the file where the model is a single one
    variable: str
    host: str
    #: below the host; names the revision
    path: str
    files: tuple[PublishedFile, ...]
    #: environment variable that names a mirror of the host
    mirror: str | None = None

    @property
    def checkpoint(self) -> Checkpoint | None:
        """The one of ``files`` that is to be converted, if any."""
        return next((file for file in self.files if isinstance(file, Checkpoint)), None)

    def source(self, file: PublishedFile) -> str:
        """Where ``file`` was published."""
        return f"{self.host}/{self.path}/{file.name}"

    def url(self, file: PublishedFile, environment: Mapping[str, str]) -> str:
        """Where to fetch ``file``: at the mirror that the environment names, else where it was published.

        Raises:
            BadConfiguration: the mirror's address is none.
        """
        mirror = environment.get(self.mirror) if self.mirror else None
        if not mirror:
            return self.source(file)
        try:
            parts = urlsplit(mirror)
            usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            usable = False
        if not usable:
            raise BadConfiguration(f"{self.mirror} must be an http or https address, not {mirror!r}.")
        return f"{mirror.rstrip('/')}/{self.path}/{file.name}"

    def value(self, directory: Path) -> Path:
        """What :attr:`variable` must hold when the files lie in ``directory``."""
        return directory / self.files[0].name if len(self.files) == 1 else directory


#: Tochilkin et al., "TripoSR: Fast 3D Object Reconstruction from a Single Image", 2024; MIT licence
TRIPOSR = Model(
    name="triposr",
    variable="MAQUETTE_WEIGHTS",
    host="https://huggingface.co",
    mirror="HF_ENDPOINT",
    path="stabilityai/TripoSR/resolve/5b521936b01fbe1890f6f9baed0254ab6351c04a",
    files=(
        PublishedFile("config.yaml", "74ca708ce086bf68e97709ea6b3d91f14717921c04691e84043f0eb8fcc68e62"),
        Checkpoint(
            "model.ckpt",
            "429e2c6b22a0923967459de24d67f05962b235f79cde6b032aa7ed2ffcd970ee",
            1_677_246_742,
            layout=Layout(549, 419_275_628, "d8dfd1809978938399e6523a9dec824e613c19d3e1279caee76fff603f1ac134"),
        ),
    ),
)
#: Qin et al., "U²-Net", Pattern Recognition 2020, as rembg publishes it; Apache licence
U2NET = Model(
    name="u2net",
    variable="MAQUETTE_MATTE_MODEL",
    host="https://github.com",
    path="danielgatis/rembg/releases/download/v0.0.0",
    files=(
        PublishedFile(
            "u2net.onnx", "8d10d2f3bb75ae3b6d527c77944fc5e7dcd94b29809d47a739a7a728a912b491", 175_997_641
        ),
    ),
)
MODELS = (TRIPOSR, U2NET)
