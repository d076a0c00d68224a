"""Handwriting: MNIST, and FEMNIST by writer."""

from __future__ import annotations

import gzip
import json
import string
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from fedlab_nb.data.loaders.store import fetched
from fedlab_nb.errors import SchemaError
from fedlab_nb.settings import check_setting

if TYPE_CHECKING:
    import pandas as pd

SIDE = 28
ADDRESS = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/mnist.npz"
SHA256 = "731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1"
PREFIX = {"train": "train", "test": "t10k"}
CHARACTERS = string.digits + string.ascii_uppercase + string.ascii_lowercase

Bytes = NDArray[np.uint8]


def mnist(folder: str | Path | None = None, *, part: Literal["train", "test"] = "train") -> pd.DataFrame:
    """Handwritten digits: 784 columns ``pixel_row_column`` of 0 to 255 (one byte each), and the ``digit``.

    60,000 rows to train on, or the 10,000 of the test ``part``.

    Args:
        folder: where mnist.npz lies, or the four original files such as train-images-idx3-ubyte.gz (or unpacked);
            mnist.npz is downloaded, checked and kept, if left out.
        part: "train" or "test".

    Raises:
        SettingError: for another part.
        SchemaError: if the files are missing, cannot be downloaded or are damaged.

    Source: LeCun, Cortes and Burges 1998, "The MNIST database of handwritten digits".
    """
    check_setting(
        "fl.data.mnist",
        "part",
        part,
        fits=part in PREFIX,
        wanted='"train" or "test"',
        why="MNIST comes in these two parts, and scores are compared on the second.",
        example='"train"',
    )
    where = fetched(ADDRESS, SHA256).parent if folder is None else Path(folder).expanduser()
    packed = where / "mnist.npz"
    if packed.is_file():
        images, digits = _from_npz(packed, part)
    else:
        images = _idx(where, f"{PREFIX[part]}-images-idx3-ubyte", dimensions=3)
        digits = _idx(where, f"{PREFIX[part]}-labels-idx1-ubyte", dimensions=1)
    if images.shape != (len(digits), SIDE, SIDE):
        raise _damaged(where, f"hold images {images.shape} for {len(digits)} labels")
    frame = _pixels(images.reshape(len(digits), -1))
    frame["digit"] = digits.astype(np.int64)
    frame.attrs["target"] = "digit"
    return frame


def _pixels(values: NDArray[np.generic]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(values, columns=[f"pixel_{row}_{column}" for row in range(SIDE) for column in range(SIDE)])


def _from_npz(path: Path, part: str) -> tuple[Bytes, Bytes]:
    import zipfile

    try:
        with np.load(path, allow_pickle=False) as arrays:
            return arrays[f"x_{part}"], arrays[f"y_{part}"]
    except (KeyError, ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise _damaged(path, f"could not be read ({type(error).__name__})") from error


def _idx(folder: Path, name: str, dimensions: int) -> Bytes:
    """An array of bytes in MNIST's own format: 0, 0, 8, its number of dimensions, each length in 4 bytes, the bytes."""
    packed, plain = folder / f"{name}.gz", folder / name
    if not packed.is_file() and not plain.is_file():
        raise SchemaError(
            f"There is neither mnist.npz nor {packed.name} in {str(folder)!r}.",
            "These are the two forms in which MNIST is usually kept.",
            f"Download mnist.npz from {ADDRESS} and put it there.",
        )
    try:
        content = gzip.decompress(packed.read_bytes()) if packed.is_file() else plain.read_bytes()
        shape = tuple(np.frombuffer(content, ">u4", dimensions, offset=4).tolist())
        if content[:4] == bytes([0, 0, 8, dimensions]):
            return np.frombuffer(content, np.uint8, offset=4 + 4 * dimensions).reshape(shape)
    except (OSError, EOFError, ValueError) as error:
        raise _damaged(packed, f"could not be read ({type(error).__name__})") from error
    raise _damaged(packed, "does not begin as a file of MNIST does")


def femnist(folder: str | Path) -> pd.DataFrame:
    """Handwritten characters by writer: 784 columns of 0 (ink) to 1, the ``writer``, and the ``character``, one of 62.

    ``fl.partition.Natural("writer")`` makes each writer an owner.

    Args:
        folder: where the .json files of LEAF lie, such as data/femnist/data/train after LEAF's ./preprocess.sh.

    Raises:
        SchemaError: if there are none, or they are not LEAF's.

    Source: Caldas et al. 2018, "LEAF: a benchmark for federated settings", section 3.
    """
    where = Path(folder).expanduser()
    files = sorted(where.glob("*.json"))
    if not files:
        raise SchemaError(
            f"There is no .json file in {str(where)!r}.",
            "LEAF writes its writers into files of that kind.",
            "Clone LEAF (github.com/TalwalkarLab/leaf), run data/femnist/preprocess.sh, and give the folder it made.",
        )
    writers: list[str] = []
    images, codes = [], []
    for file in files:
        try:
            held = json.loads(file.read_text(encoding="utf-8"))["user_data"]
            for writer, rows in held.items():
                images.append(np.array(rows["x"], dtype=np.float32).reshape(len(rows["y"]), SIDE * SIDE))
                codes.append(np.array([CHARACTERS[code] for code in rows["y"]]))
                writers += [writer] * len(rows["y"])
        except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
            raise _damaged(file, f"is not one of LEAF's FEMNIST ({type(error).__name__})") from error
    frame = _pixels(np.concatenate(images))
    frame["writer"], frame["character"] = writers, np.concatenate(codes)
    frame.attrs["target"] = "character"
    return frame


def _damaged(path: Path, what: str) -> SchemaError:
    return SchemaError(
        f"The files at {path.name!r} {what}.",
        "They were changed or damaged, or are something else.",
        "Download them again, and look at what the folder holds.",
    )
