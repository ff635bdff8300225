"""What the subcommands of ``maquette`` do, one module each; :mod:`infra.cli` names them and their flags."""

from __future__ import annotations

from typing import Literal, TypeAlias

#: ways for a photo into the cloud: the drop folder, or an upload that REST has asked for
Via: TypeAlias = Literal["inbox", "rest"]
