"""The run directory: a training on disk. No file is pickled, each is written whole, and each knows when it is damaged.

config.toml     what was asked for
run.json        format, versions, fingerprints of the records, site of the first, scaler
weights.npz     the best model so far
checkpoint.npz  all that training carries, to go on from
history.csv     loss and validation by update
"""

import csv
import hashlib
import json
import zipfile
import zlib
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

from bowen.errors import RunError
from bowen.files import replace_atomically

FORMAT = 4
HISTORY = "history"
BASE = "base/"  # of weights: where a parameter of the physics is that a version before this may not have declared
DAMAGED = (OSError, ValueError, KeyError, TypeError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error)


def save_arrays(path: Path, tree: Any, history: tuple[Any, ...] = ()) -> None:
    """Write the arrays of a pytree, each under its place in the tree, and the history of the training that made it.

    Raises:
        RunError: The file cannot be written; the old one is untouched.
    """
    arrays = {place: np.asarray(leaf) for place, leaf in named_leaves(tree).items()}
    with replace_atomically(path) as temporary, temporary.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays, **{HISTORY: np.asarray(history, float)})


def load_arrays(path: Path, like: Any) -> tuple[Any, np.ndarray]:
    """Read arrays into a pytree of the structure of `like`, whose leaves tell shape and type; and the history.

    A parameter of the physics that the file lacks, because it was declared since, is as in `like`.

    Raises:
        RunError: The file is missing or damaged, or holds another structure.
    """
    wanted = named_leaves(like)
    try:
        # opened here, because np.load leaves a damaged archive open
        with path.open("rb") as archive, np.load(archive, allow_pickle=False) as file:
            arrays = {place: file[place] for place in file.files}
        history = arrays.pop(HISTORY)
        arrays = {place: leaf for place, leaf in wanted.items() if place.startswith(BASE)} | arrays
    except FileNotFoundError as problem:
        raise RunError(f"{path}: is not there.\n  fix: train again with `bowen train`.") from problem
    except DAMAGED as problem:
        raise damage_error(path, problem) from problem
    odd = set(wanted) ^ set(arrays)
    odd |= {place for place in set(wanted) & set(arrays) if wanted[place].shape != arrays[place].shape}
    if odd:
        raise RunError(
            f"{path}: does not fit the configuration beside it ({len(odd)} arrays differ, such as {min(odd)}).\n"
            "  fix: restore config.toml as it was, or train again into another directory."
        )
    leaves, structure = jax.tree_util.tree_flatten_with_path(like)
    filled = [jnp.asarray(arrays[leaf_name(at)], leaf.dtype) if is_array_like(leaf) else leaf for at, leaf in leaves]
    return jax.tree.unflatten(structure, filled), history


def is_array_like(leaf: Any) -> bool:
    """Whether a leaf is an array or stands for one."""
    return hasattr(leaf, "shape") and hasattr(leaf, "dtype")


def named_leaves(tree: Any) -> dict[str, Any]:
    """Arrays of a pytree by their place in it."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {leaf_name(at): leaf for at, leaf in leaves if is_array_like(leaf)}


def leaf_name(path: Any) -> str:
    """Place of a leaf, readable and safe as the name of an archive's member."""
    return jax.tree_util.keystr(path, simple=True, separator="/")


def write_meta(folder: Path, config: str, meta: Mapping[str, Any]) -> None:
    """Write what was asked for, and what it was asked of.

    Raises:
        RunError: A file cannot be written.
    """
    versions = {name: version(name) for name in ("bowen", "jax", "equinox", "optax", "numpy")}
    write_text(folder / "config.toml", config)
    content = {"format": FORMAT, "versions": versions, **meta}
    write_text(folder / "run.json", json.dumps({**content, "checksum": checksum(content)}, indent=1) + "\n")


def checksum(content: Mapping[str, Any]) -> str:
    """SHA-256 of what a file says, whatever its layout."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def read_meta(folder: Path) -> dict[str, Any]:
    """What a run directory says of itself.

    Raises:
        RunError: It is no run directory, is damaged, or was written by a version with another format.
    """
    path = folder / "run.json"
    try:
        meta = json.loads(path.read_text(encoding="utf-8"))
        found, wrote = meta.get("format"), meta.get("versions", {}).get("bowen", "of an unknown version")
        sound = meta.pop("checksum", None) == checksum(meta)
    except (FileNotFoundError, NotADirectoryError) as problem:
        inside = ", ".join(str(other.parent) for other in sorted(folder.glob("*/run.json")))
        remedy = f"name one inside it: {inside}" if inside else "make one with `bowen train`"
        raise RunError(f"{folder}: is not a run directory, it has no run.json.\n  fix: {remedy}.") from problem
    except (OSError, ValueError, AttributeError) as problem:
        raise damage_error(path, problem) from problem
    if found != FORMAT:
        raise RunError(
            f"{path}: has format {found}, written by bowen {wrote}; this version reads format {FORMAT}.\n"
            "  fix: use the version that wrote it, or train again into another directory."
        )
    if not sound:
        raise damage_error(path, "its checksum differs")
    return meta


def damage_error(path: Path, why: object) -> RunError:
    """The error of a file that is not what was written."""
    return RunError(
        f"{path}: is damaged ({why}).\n  fix: restore it from a copy, or remove the run directory and train again."
    )


def write_history(path: Path, columns: tuple[str, ...], rows: tuple[Any, ...]) -> None:
    """Write the validations of a training as a table.

    Raises:
        RunError: The file cannot be written.
    """
    with replace_atomically(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([columns, *rows])


def read_history(path: Path) -> pd.DataFrame:
    """Read the validations of a training.

    Raises:
        RunError: The file is missing or damaged.
    """
    try:
        return pd.read_csv(path, dtype=float)
    except (OSError, ValueError) as problem:
        raise damage_error(path, problem) from problem


def write_text(path: Path, text: str) -> None:
    """Write a text file, whole or not at all.

    Raises:
        RunError: The file cannot be written.
    """
    with replace_atomically(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
