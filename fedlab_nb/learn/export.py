"""A trained model as a file: our own, which comes back as it was, and those that other programs read."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.errors import SettingError
from fedlab_nb.learn.engine.flat import flat_weights
from fedlab_nb.learn.models import Architecture, build
from fedlab_nb.learn.trained import Reading, TrainedModel
from fedlab_nb.records.kept import put_together, taken_apart

if TYPE_CHECKING:
    from torch import nn

# Goes up whenever a file would be read in another way.
FORM = 1
# Where in a safetensors file the text stands that says how columns are read.
HEADER = "fedlab_nb"


def write(model: TrainedModel, path: str | Path) -> Path:
    """Write the state_dict as safetensors, and in its header as JSON the architecture and how columns are read.

    Raises:
        SettingError: if the file cannot be written, or the way columns are read cannot be without code.
    """
    from safetensors.numpy import save

    arrays = {name: tensor.detach().cpu().numpy() for name, tensor in model.state_dict().items()}
    reading, beside = taken_apart(model.reading)
    about = {
        "form": FORM,
        "architecture": _described(model.architecture),
        "words": re.sub(r" at 0x[0-9a-fA-F]+", "", repr(model.architecture)),
        "reading": reading,
    }
    arrays |= {f"reading/{name}": array for name, array in beside.items()}
    # The second entry is what torch's readers of such files look for.
    return to_file(path, lambda place: place.write_bytes(save(arrays, {HEADER: json.dumps(about), "format": "pt"})))


def _described(architecture: Architecture) -> Any:
    """One of our architectures in JSON's terms; None for a user's own, which is code."""
    if not type(architecture).__module__.startswith("fedlab_nb."):
        return None
    return taken_apart(architecture)[0]


def read(path: str | Path, architecture: Architecture | None = None) -> TrainedModel:
    """The model that ``write`` wrote.

    Raises:
        SettingError: if it is no such file, or ``architecture`` is missing or builds another model.
    """
    about, arrays = contents(path)
    beside = {name.removeprefix("reading/"): a for name, a in arrays.items() if name.startswith("reading/")}
    tensors = {name: a for name, a in arrays.items() if not name.startswith("reading/")}
    reading = cast("Reading", put_together(about["reading"], beside))
    if architecture is None and about["architecture"] is None:
        raise SettingError(
            f"The model in {str(path)!r} was built by a function of its user: {about['words']}.",
            "Its weights are in the file, its code is not: a file that brings code could do harm.",
            "Define that function, and pass it: fl.models.load(path, architecture=my_model).",
        )
    chosen = architecture or cast("Architecture", put_together(about["architecture"], {}))
    outputs = len(reading.classes) if reading.task == "multiclass" else 1
    module = build(chosen, len(reading.inputs), outputs)
    _fill(module, tensors, path)
    return TrainedModel(chosen, flat_weights(module), reading)


def contents(
    path: object, *, header: str = HEADER, what: str = "model", example: str = "run.model.save(path)"
) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """What stands under ``header`` in a file that was written here, and its arrays by name.

    Raises:
        SettingError: if it cannot be read, or is not of this form; ``example`` says what writes such a file.
    """
    from safetensors import SafetensorError, safe_open

    if not isinstance(path, str | Path):
        given = f"the class {path.__name__}" if isinstance(path, type) else f"something of type {type(path).__name__}"
        raise SettingError(
            f"The {what} was to be read from {given}.",
            "It is in a file, which is found by its name.",
            f"Name the file that {example} wrote.",
        )
    try:
        with safe_open(path, framework="numpy") as file:
            about = json.loads((file.metadata() or {}).get(header, "{}"))
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no mapping
    except (OSError, SafetensorError) as error:
        raise SettingError(
            f"The {what} file {str(path)!r} cannot be read ({type(error).__name__}: {error}).",
            "It is not there, was cut off, or is no safetensors file.",
            f"Name the file that {example} wrote.",
        ) from error
    if about.get("form") != FORM:
        raise SettingError(
            f"The file {str(path)!r} does not say how a {what} of this package reads its columns.",
            f"It is of another program, or of a version that writes another form than {FORM}: {about.get('form')!r}.",
            f"Name the file that {example} wrote; weights alone are read by safetensors.torch.load_file.",
        )
    return about, arrays


def _fill(module: nn.Module, tensors: Mapping[str, NDArray[Any]], path: str | Path) -> None:
    import torch

    try:
        module.load_state_dict({name: torch.from_numpy(np.array(array)) for name, array in tensors.items()})
    except RuntimeError as error:
        raise SettingError(
            f"The weights in {str(path)!r} do not fit the architecture: {' '.join(str(error).split())}",
            "Every weight has its place by name and shape, and a model with other layers has other places.",
            "Pass the architecture that the model was trained with: fl.models.load(path, architecture=my_model).",
        ) from error


def write_torchscript(model: TrainedModel, path: str | Path) -> Path:
    """Write the module as TorchScript.

    Raises:
        SettingError: if torch cannot trace the module, or the file cannot be written.
    """
    import torch

    module, rows = _module_and_rows(model)
    with warnings.catch_warnings():
        # Torch says that it will be replaced some day; the versions that this package allows have it.
        warnings.simplefilter("ignore", DeprecationWarning)
        traced: Any = _translated(lambda: torch.jit.trace(module, rows), "TorchScript", model)  # type: ignore[no-untyped-call]
        data = BytesIO()
        torch.jit.save(traced, data)
    return to_file(path, lambda place: place.write_bytes(data.getvalue()))


def write_onnx(model: TrainedModel, path: str | Path) -> Path:
    """Write the module as ONNX.

    Raises:
        SettingError: without the package ``onnx``, or if torch cannot translate the module.
    """
    import torch

    if find_spec("onnx") is None:
        raise SettingError(
            "The model was to be written as ONNX, and the package onnx is not installed.",
            "Torch writes such files with its help; this package does not need it otherwise.",
            "Install it with: pip install onnx. Or use .torchscript(path) or .save(path).",
        )
    module, rows = _module_and_rows(model)
    names: dict[str, Any] = {"input_names": ["inputs"], "output_names": ["scores"]}
    names["dynamic_axes"] = {"inputs": {0: "rows"}, "scores": {0: "rows"}}

    def export(place: Path) -> None:
        # The newer exporter needs one more package and imports torch.compile's machinery.
        _translated(lambda: torch.onnx.export(module, (rows,), str(place), dynamo=False, **names), "ONNX", model)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return to_file(path, export)


def _module_and_rows(model: TrainedModel) -> tuple[nn.Module, Any]:
    """The module, and two rows of zeros as an example: any number of rows can follow."""
    import torch

    return model.module(), torch.zeros(2, len(model.inputs))


def _translated(translate: Callable[[], Any], into: str, model: TrainedModel) -> Any:
    try:
        return translate()
    except OSError:
        raise
    except Exception as error:
        raise SettingError(
            f"Torch cannot write {model.architecture!r} as {into} ({type(error).__name__}: "
            f"{' '.join(str(error).split())[:300]}).",
            "Only layers that it can translate can leave Python.",
            "Use .save(path) and fl.models.load(path), or build the model from torch's own layers.",
        ) from error


def to_file(
    path: str | Path,
    put: Callable[[Path], object],
    *,
    what: str = "model",
    example: str = "run.model.save('model.safetensors')",
) -> Path:
    """The path, once ``put`` has written to it; its folder is made.

    Raises:
        SettingError: if it cannot be written.
    """
    place = Path(path)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        put(place)
    except OSError as error:
        raise SettingError(
            f"The {what} cannot be written to {str(path)!r} ({error.strerror or error}).",
            "So it would be lost with the kernel.",
            f"Name a file in a folder that may be written: {example}.",
        ) from error
    return place
