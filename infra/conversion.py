"""A checkpoint as PyTorch pickles it, made into safetensors: opens at once, and cannot carry code."""

from __future__ import annotations

import importlib.util
import pickle
from pathlib import Path

from infra.errors import MachineError, MissingDependency, WeightsCorrupt
from infra.published import Layout
from infra.weights import read_layout


def require_packages() -> None:
    """Raise :class:`infra.errors.MissingDependency` where a conversion would."""
    missing = [name for name in ("torch", "safetensors") if importlib.util.find_spec(name) is None]
    if missing:
        raise MissingDependency(
            f"Converting a checkpoint takes {' and '.join(missing)}. Run 'make setup' in the checkout, "
            "or: pip install 'maquette[cli,pipeline]'"
        )


def to_safetensors(checkpoint: Path, target: Path, layout: Layout) -> None:
    """Write the tensors of ``checkpoint`` to ``target``, bit for bit; it gets its name when it is whole.

    Pages of the checkpoint are read as they are written: this takes its size on disk, not in memory.

    Raises:
        MissingDependency: PyTorch or safetensors is not installed.
        WeightsCorrupt: the checkpoint cannot be read, or holds other tensors than ``layout`` says.
        MachineError: ``target`` cannot be written.
    """
    require_packages()
    # here and not above: this package does without them
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    new = target.with_name(f"{target.name}.new")
    try:
        tensors = torch.load(checkpoint, map_location="cpu", weights_only=True, mmap=True)
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, new)
        found = read_layout(new)
        if found != layout:
            raise WeightsCorrupt(f"{checkpoint} holds {found}, not the published {layout}.")
        new.chmod(checkpoint.stat().st_mode & 0o777)  # safetensors makes files for their owner alone
        new.replace(target)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, AttributeError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise WeightsCorrupt(f"{checkpoint} cannot be read: {reason}") from error
    except (SafetensorError, OSError) as error:
        raise MachineError(f"{target} cannot be written: {error}.") from error
    finally:
        new.unlink(missing_ok=True)
