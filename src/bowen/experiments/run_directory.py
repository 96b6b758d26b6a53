"""Run directory: a training, a benchmark or the simulations of a model on disk.

config.toml     settings
run.json        format, versions, settings that the weights depend on, and the manifest: records trained on, scaler,
                checksum
weights.npz     best model so far
checkpoint.npz  full state of training, to resume from
history.csv     loss and validation by update, which the weights hold as well
lock            process that is training here; absent otherwise

Files are written whole or not at all, nothing is pickled, and a damaged file is recognized. A directory written in
format 4 is read as it is, and rewritten in the current format when its training is resumed; see `format_migration`.

A directory may be used with another configuration as long as nothing differs that its weights depend on. Paths, the
tables [comparison] and [benchmark], `updates` and `patience` may change. With more `updates` a finished training
continues from its checkpoint: patience begins anew, and the learning rate follows the schedule of the new number of
updates from the update reached, so that it rises from the end of the old decay to where the longer training would be.
The result is therefore not that of a training with the larger number from the beginning. A training that was
interrupted and is resumed with the same settings ends in the same bits.
"""

import contextlib
import csv
import dataclasses
import itertools
import json
import os
import socket
import sys
import time
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pydantic
import xarray as xr

from bowen import data
from bowen.config import schema as configs
from bowen.config.schema import Config
from bowen.errors import RunError
from bowen.experiments.format_migration import FORMAT, OLDEST_FORMAT, migrate_arrays, migrate_config, migrate_manifest
from bowen.experiments.trained_record import TrainedRecord
from bowen.files import UNREADABLE, open_file, open_zip, read_json, read_text, replace_atomically, write_json

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

HISTORY, UPDATES = "history", "updates"  # members of an archive of arrays that are no leaves of the tree
PARAMETERS_OF_SITE = ("land/", "tower/")  # some of which may have been declared since a file was written
PARTS_WITH_MODEL = ("model/", "average/", "best/")  # of a checkpoint
MAX_NAMED = 8  # run directories, or records, that a message names

Purpose = Literal["training", "benchmark", "simulations"]
SITE_SETTINGS = (
    "site", "latitude", "longitude", "elevation", "utc_offset_hours", "igbp", "reference_height", "canopy_height"
)  # fmt: skip
FILE_SETTINGS = ("met", "flux", "format")
# Settings on which the content of a directory does not depend, by table; None: the whole table. Site metadata are
# compared with the records.
INDEPENDENT: Mapping[Purpose, Mapping[str, tuple[str, ...] | None]] = {
    "training": {
        "data": (*FILE_SETTINGS, *SITE_SETTINGS, "exclude", "basin_days"),
        "training": ("updates", "patience"),
        "comparison": None,
        "benchmark": None,
    },
    "benchmark": {"data": FILE_SETTINGS, "split": None, "benchmark": ("models", "folds", "seeds")},
    "simulations": {
        "data": (*FILE_SETTINGS, *SITE_SETTINGS, "exclude", "basin_days"),
        "split": None,
        "training": tuple(name for name in configs.TrainingConfig.model_fields if name != "spin_up_years"),
        "comparison": None,
        "benchmark": None,
    },
}


@dataclasses.dataclass(frozen=True)
class Manifest:
    """Content of run.json: purpose of a directory, and the records and weights behind it."""

    records: tuple[TrainedRecord, ...] = ()  # in the order of their numbers in the model
    scaler: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    site: Mapping[str, Any] = dataclasses.field(default_factory=dict)  # metadata of the first record
    water: Mapping[str, str] = dataclasses.field(default_factory=dict)  # periods of runoff or snow trained on, by site
    labeling: str = "split"  # rule that labeled the steps; see `step_labels`
    purpose: Purpose = "training"
    weights: str = ""  # checksum of the model's arrays, of simulations
    as_unseen: bool = False  # of simulations: all sites as unseen ones

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> "Manifest":
        """Make a manifest of the content of run.json.

        Raises:
            KeyError, ValueError: It lacks something, or holds something else.
        """
        return _MANIFEST.validate_python({field.name: content[field.name] for field in dataclasses.fields(cls)})

    @property
    def fingerprints(self) -> list[str]:
        """Checksums of the records."""
        return [record.fingerprint for record in self.records]

    @property
    def places(self) -> str:
        """Sites and years that the records are of."""
        known = [f"{record.site} {record.years}" for record in self.records if record.site]
        known += ["a record known by its checksum alone"] if len(known) < len(self.records) else []
        more = [f"{len(known) - MAX_NAMED} more"] if len(known) > MAX_NAMED else []
        return ", ".join(known[:MAX_NAMED] + more)

    def numbers_at(self, dataset: xr.Dataset) -> list[int]:
        """List the numbers of the records from the site of a dataset, best match first.

        The best match is the record itself; else the one with the longest common period; else the nearest in time.
        """
        found = [number for number, record in enumerate(self.records) if record.is_at(dataset.attrs)]
        if len(found) > 1 or any(not record.first for record in self.records):
            same, times = data.compute_fingerprint(dataset), dataset.time.values
            exact = [number for number, record in enumerate(self.records) if record.fingerprint == same]
            found = [number for number in found if number not in exact]
            found.sort(key=lambda number: self.records[number].seconds_from(times))
            return [*exact, *found]
        return found


_MANIFEST = pydantic.TypeAdapter(Manifest)


class RunDirectory:
    """Directory with settings, manifest, weights and checkpoint of a training.

    A benchmark and the simulations of a model use one as well, for settings and manifest alone.
    """

    def __init__(self, folder: Path):
        """Take the path of a directory, which need not exist."""
        self.folder = folder
        self.weights, self.checkpoint = folder / "weights.npz", folder / "checkpoint.npz"
        self.history = folder / "history.csv"
        self._config, self._manifest, self._lock = folder / "config.toml", folder / "run.json", folder / "lock"

    @property
    def is_claimed(self) -> bool:
        """Presence of a manifest: the directory belongs to a training, a benchmark or simulations."""
        return self._manifest.exists()

    def set_aside(self) -> Path:
        """Rename the directory, so that another training may take its place; return its new path.

        Raises:
            RunError: It cannot be renamed.
        """
        numbers = itertools.count(1)
        free = next(
            path for n in numbers if not (path := self.folder.with_name(f"{self.folder.name}.earlier-{n}")).exists()
        )
        try:
            return self.folder.rename(free)
        except OSError as problem:
            raise RunError(str(self.folder), f"cannot be renamed ({problem})", fix="rename it by hand.") from problem

    def claim(self, config: Config, manifest: Manifest, *, is_writer: bool = True) -> None:
        """Claim a new directory, or check that an old one was made from the same; then write the given settings.

        Args:
            config: Settings.
            manifest: Purpose of the directory, with its records.
            is_writer: Whether to write; otherwise only check.

        Raises:
            RunError: It holds something made from other settings or records; or cannot be written.
        """
        written = 0
        if self.is_claimed:
            written, there, _ = self._read()
            self._check_same(there, manifest, config, written)
        elif manifest.purpose == "benchmark" and self._config.exists():  # until format 5 it had settings alone
            self._check_same(Manifest(purpose="benchmark"), manifest, config, OLDEST_FORMAT)
        if not is_writer:
            return
        if 0 < written < FORMAT:
            self._migrate_arrays(written)
        text = configs.dumps(config)
        if not self._config.exists() or read_text(self._config) != text:
            write_text(self._config, text)
        if written < FORMAT:
            versions = {name: version(name) for name in ("bowen", "jax", "equinox", "optax", "numpy")}
            settings = [[*place, value] for place, value in relevant_settings(config, manifest).items()]
            content = {"format": FORMAT, "versions": versions, "settings": settings, **dataclasses.asdict(manifest)}
            write_json(self._manifest, content)

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Keep other processes from writing here; the lock of a process that died is taken over.

        Raises:
            RunError: Another process holds it, or the directory cannot be made.
        """
        is_new = not self.folder.exists()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            file = self._acquire_lock()
        except OSError as problem:
            raise RunError(
                str(self.folder),
                f"cannot be written ({problem})",
                fix="choose another directory with --out.",
            ) from problem
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                if sys.platform != "win32":
                    self._lock.unlink()  # while it is held, so that no other lock is removed
                os.close(file)
                if sys.platform == "win32":
                    self._lock.unlink()
                if is_new:
                    self.folder.rmdir()  # if nothing came of it

    def _acquire_lock(self) -> int:
        while True:
            file = os.open(self._lock, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o644)
            try:
                if sys.platform == "win32":
                    os.lseek(file, 1 << 30, os.SEEK_SET)  # beyond the text, which others may read
                    msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
                    os.lseek(file, 0, os.SEEK_SET)
                else:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except (BlockingIOError, PermissionError):
                os.close(file)
                raise self._lock_error() from None
            except OSError:
                pass  # a disk without locks
            with contextlib.suppress(OSError):
                if os.path.samestat(os.fstat(file), os.stat(self._lock)):
                    break
            os.close(file)  # its holder removed the file meanwhile
        holder = {"host": socket.gethostname(), "process": os.getpid(), "since": time.strftime("%Y-%m-%d %H:%M:%S %z")}
        os.ftruncate(file, 0)
        os.write(file, json.dumps(holder).encode())
        return file

    def _lock_error(self) -> RunError:
        try:
            holder = json.loads(read_text(self._lock))
            who = f"process {holder['process']} on {holder['host']} trains here since {holder['since']}"
        except UNREADABLE:
            who = "another process trains here"
        return RunError(str(self.folder), who, fix="wait until it has ended, or choose another directory with --out.")

    def read_manifest(self, purpose: Purpose = "training") -> Manifest:
        """Read the manifest.

        Raises:
            RunError: It is no run directory, is damaged, or was written in a format that is not read.
        """
        _, manifest, _ = self._read()
        if manifest.purpose != purpose:
            raise self._absence(f"holds a {manifest.purpose}, not a {purpose}")
        return manifest

    def _read(self) -> tuple[int, Manifest, dict[tuple[str, str], Any]]:
        """Read the format of the directory, the manifest, and the settings that the weights depend on."""
        path = self._manifest
        try:
            content, is_sound = read_json(path)
            found, wrote = content.get("format"), content.get("versions", {}).get("bowen", "of an unknown version")
        except (FileNotFoundError, NotADirectoryError) as problem:
            raise self._absence("is not a run directory, it has no run.json") from problem
        except UNREADABLE as problem:
            raise damage_error(path, problem) from problem
        if not isinstance(found, int) or not OLDEST_FORMAT <= found <= FORMAT:
            raise RunError(
                str(path),
                f"has format {found}, written by bowen {wrote}; this version reads formats {OLDEST_FORMAT} to {FORMAT}",
                fix="use the version that wrote it, or train again into another directory.",
            )
        if not is_sound:
            raise damage_error(path, "its checksum differs")
        try:
            settings = {(str(table), str(name)): value for table, name, value in content.get("settings", [])}
            return found, Manifest.of(migrate_manifest(content, found)), settings
        except UNREADABLE as problem:
            raise damage_error(path, problem) from problem

    def _absence(self, what: str) -> RunError:
        inside = sorted(str(path.parent) for path in self.folder.glob("**/weights.npz"))
        more = f" and {len(inside) - MAX_NAMED} more" if len(inside) > MAX_NAMED else ""
        named = f"name one inside it: {', '.join(inside[:MAX_NAMED])}{more}." if inside else ""
        return RunError(str(self.folder), what, fix=named or "make one with `bowen train`.")

    def read_config(self, written: int | None = None) -> Config:
        """Read the settings; names of an older format are translated.

        Args:
            written: Format of the directory; None reads it.

        Raises:
            ConfigError: They cannot be read, or are not valid.
            RunError: One that the weights depend on has changed since.
        """
        manifest, settings = Manifest(), {}
        if written is None:
            written, manifest, settings = self._read()
        config = configs.load(self._config, migrate=migrate_config) if written < FORMAT else configs.load(self._config)
        now = relevant_settings(config, manifest)
        for (table, name), value in settings.items():
            if now.get((table, name), value) != value:
                raise RunError(
                    str(self._config),
                    f"`{name}` in [{table}] is {_shown(now[table, name])}, and was {_shown(value)} in the training",
                    fix="restore config.toml as it was.",
                )
        return config

    def _check_same(self, there: Manifest, asked: Manifest, config: Config, written: int) -> None:
        if there.purpose != asked.purpose:
            raise self._difference(f"holds a {there.purpose}, not a {asked.purpose}")
        before, now = relevant_settings(self.read_config(written), asked), relevant_settings(config, asked)
        differ = [
            f"`{name}` in [{table}] is {_shown(before.get((table, name)))} there "
            f"and {_shown(now.get((table, name)))} here"
            for table, name in dict.fromkeys((*before, *now))
            if before.get((table, name)) != now.get((table, name))
        ]
        if differ:
            raise self._difference(f"was made with other settings: {'; '.join(differ)}")
        if written == FORMAT and there.labeling != asked.labeling:
            raise self._difference(f"has steps labeled by {there.labeling}, and by {asked.labeling} here")
        if there.records or asked.records:
            self._check_same_records(there, asked)
        if there.weights != asked.weights:
            raise self._difference("holds the days of another model, or of other weights")
        if there.as_unseen != asked.as_unseen:
            kind = {True: "holds days simulated", False: "does not hold days simulated"}[there.as_unseen]
            raise self._difference(f"{kind} with all sites as unseen ones (--as-unseen)")

    def _check_same_records(self, there: Manifest, asked: Manifest) -> None:
        if there.fingerprints == asked.fingerprints:
            return
        if len(there.records) != len(asked.records):
            raise self._difference(
                f"was trained on {len(there.records)} records, and there are {len(asked.records)} now"
            )
        pairs = zip(there.records, asked.records, strict=True)
        before, now = next((before, now) for before, now in pairs if before.fingerprint != now.fingerprint)
        if before.site and before.site != now.site:
            raise self._difference(f"was trained on a record of {before.site} where there is one of {now.site} now")
        if before.first and before.period != now.period:
            raise self._difference(
                f"was trained on {now.site} from {before.period}, and the record is from {now.period} now"
            )
        if before.fingerprint == there.fingerprints[0]:
            for name, value in there.site.items():
                if value != asked.site.get(name):
                    raise self._difference(
                        f"was trained on {now.site} with `{name}` = {_shown(value)}, "
                        f"and the record has {_shown(asked.site.get(name))} now"
                    )
        raise RunError(
            str(self.folder),
            f"was trained on a record of {now.site} that has changed since, in its values, flags or metadata",
            fix="choose another directory with --out, or bring back the record as it was.",
        )

    def _difference(self, what: str) -> RunError:
        return RunError(str(self.folder), what, fix="choose another directory with --out, or remove this one.")

    def save(self, progress: Any, best: Any, columns: tuple[str, ...], history: tuple[Any, ...], updates: int) -> None:
        """Write the checkpoint, and then the best model with the history.

        Args:
            progress: Full state of training.
            best: Best model so far.
            columns: Of the history.
            history: Rows of the validations so far.
            updates: Number of updates that the training is to make.

        Raises:
            RunError: A file cannot be written.
        """
        save_arrays(self.checkpoint, progress, history, updates)
        self.publish(best, columns, history)

    def publish(self, best: Any, columns: tuple[str, ...], history: tuple[Any, ...]) -> None:
        """Write the best model and the history.

        Raises:
            RunError: A file cannot be written.
        """
        save_arrays(self.weights, best, history)
        write_history(self.history, columns, history)

    def read_checkpoint(self, like: Any, model: Any) -> tuple[Any, np.ndarray, int] | None:
        """Read the state of an interrupted or finished training.

        Args:
            like: Structure, shapes and types.
            model: Untrained model, for parameters declared since the checkpoint was written.

        Returns:
            The state, the history, and the number of updates the training was to make; None without a checkpoint.

        Raises:
            RunError: The file is damaged, or holds another structure.
        """
        if not self.checkpoint.exists():
            return None
        written = self._read()[0]
        arrays = read_arrays(self.checkpoint, written)
        updates = arrays.pop(UPDATES, None)
        asked = self.read_config(written).training.updates if updates is None else int(updates)
        tree, history = fill_tree(self.checkpoint, arrays, like, named_leaves(model))
        return tree, history, asked

    def read_weights(self, like: Any) -> Any:
        """Read the best model into the structure of an untrained one.

        Raises:
            RunError: The file is missing or damaged, or holds another structure.
        """
        written = self._read()[0]
        arrays = read_arrays(self.weights, written)
        return fill_tree(self.weights, arrays, like, named_leaves(like))[0]

    def _migrate_arrays(self, written: int) -> None:
        """Rewrite the arrays with the names of today, before settings and manifest: so it may be interrupted."""
        updates = self.read_config(written).training.updates
        for path in (self.weights, self.checkpoint):
            if path.exists():
                arrays = read_arrays(path, written)
                if path == self.checkpoint:
                    arrays.setdefault(UPDATES, np.asarray(updates))
                write_arrays(path, arrays)


def relevant_settings(config: Config, manifest: Manifest) -> dict[tuple[str, str], Any]:
    """Collect the settings on which the content of a directory depends, by table and name."""
    independent = dict(INDEPENDENT[manifest.purpose])
    if manifest.purpose == "training" and manifest.labeling != "split":  # the table [split] was not used
        independent["split"] = None
    return {
        (table, name): value
        for table, settings in config.model_dump(mode="json").items()
        if (left_out := independent.get(table, ())) is not None
        for name, value in settings.items()
        if name not in left_out
    }


def _shown(value: Any) -> str:
    return "not set" if value is None else json.dumps(value, ensure_ascii=False)


def save_arrays(path: Path, tree: Any, history: Sequence[Any] = (), updates: int | None = None) -> None:
    """Write the arrays of a pytree by their places in it, and the history of the training that made it.

    Raises:
        RunError: The file cannot be written; the old one is untouched.
    """
    arrays = {place: np.asarray(leaf) for place, leaf in named_leaves(tree).items()}
    counted = {} if updates is None else {UPDATES: np.asarray(updates)}
    write_arrays(path, arrays | {HISTORY: np.asarray(history, float)} | counted)


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays by name.

    Raises:
        RunError: The file cannot be written; the old one is untouched.
    """
    with replace_atomically(path) as temporary, temporary.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)  # type: ignore[arg-type]  # names are no keywords of its own


def load_arrays(path: Path, like: Any) -> tuple[Any, np.ndarray]:
    """Read arrays into a pytree of the structure of `like`, whose leaves give shape and type; and the history.

    A parameter of the physics that the file lacks, because it was declared since, is as in `like`.

    Raises:
        RunError: The file is missing or damaged, or holds another structure.
    """
    arrays = read_arrays(path)
    arrays.pop(UPDATES, None)
    return fill_tree(path, arrays, like, named_leaves(like))


def read_arrays(path: Path, written: int = FORMAT) -> dict[str, np.ndarray]:
    """Read arrays by name; names of an older format are translated.

    Raises:
        RunError: The file is missing or damaged.
    """
    try:
        with open_file(path) as file, open_zip(file) as archive:
            arrays = {name.removesuffix(".npy"): _read_array(archive, name) for name in archive.namelist()}
        if HISTORY not in arrays:
            raise ValueError(f"it has no {HISTORY}")
    except FileNotFoundError as problem:
        raise RunError(str(path), "is not there", fix="train again with `bowen train`.") from problem
    except UNREADABLE as problem:
        raise damage_error(path, problem) from problem
    return migrate_arrays(arrays, written)


def _read_array(archive: zipfile.ZipFile, name: str) -> np.ndarray:
    """Read an array of numbers; `np.load` would ask for as much memory as its header says."""
    with archive.open(name) as member:
        if np.lib.format.read_magic(member) != (1, 0):
            raise ValueError(f"{name} is in another format")
        shape, is_fortran, dtype = np.lib.format.read_array_header_1_0(member)
        if dtype.kind not in "biuf":
            raise ValueError(f"{name} holds no numbers")
        return np.frombuffer(member.read(), dtype).reshape(shape, order="F" if is_fortran else "C")


def fill_tree(
    path: Path, arrays: dict[str, np.ndarray], like: Any, defaults: Mapping[str, Any]
) -> tuple[Any, np.ndarray]:
    """Put arrays of a file in their places in a pytree; returns it with the history.

    Args:
        path: The file, for messages.
        arrays: By place, with the history.
        like: Pytree whose leaves give shape and type.
        defaults: Parameters of the physics that were declared since, by their places in the model.

    Raises:
        RunError: They are not the arrays of such a pytree.
    """
    wanted, history = named_leaves(like), arrays.pop(HISTORY)
    for place in set(wanted) - set(arrays):
        part = next((part for part in PARTS_WITH_MODEL if place.startswith(part)), "")
        if (own := place.removeprefix(part)).startswith(PARAMETERS_OF_SITE) and own in defaults:
            arrays[place] = defaults[own]
    odd = set(wanted) ^ set(arrays)
    odd |= {place for place in set(wanted) & set(arrays) if wanted[place].shape != arrays[place].shape}
    if odd:
        raise RunError(
            str(path),
            f"does not fit the configuration beside it ({len(odd)} arrays differ, such as {min(odd)})",
            fix="restore config.toml as it was, or train again into another directory.",
        )
    leaves, structure = jax.tree_util.tree_flatten_with_path(like)
    filled = [jnp.asarray(arrays[leaf_name(at)], leaf.dtype) if is_array_like(leaf) else leaf for at, leaf in leaves]
    return jax.tree.unflatten(structure, filled), history


def is_array_like(leaf: Any) -> bool:
    """Check that a leaf is an array or stands for one."""
    return hasattr(leaf, "shape") and hasattr(leaf, "dtype")


def named_leaves(tree: Any) -> dict[str, Any]:
    """Collect the arrays of a pytree by their places in it."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {leaf_name(at): leaf for at, leaf in leaves if is_array_like(leaf)}


def leaf_name(path: Any) -> str:
    """Write the place of a leaf, readable and safe as the name of an archive's member."""
    return jax.tree_util.keystr(path, simple=True, separator="/")


def damage_error(path: Path, why: object) -> RunError:
    """Make the error of a file that is not as it was written."""
    return RunError(
        str(path),
        f"is damaged ({why})",
        fix="restore it from a copy, or remove the run directory and train again.",
    )


def write_history(path: Path, columns: tuple[str, ...], rows: tuple[Any, ...]) -> None:
    """Write the validations of a training as a table.

    Raises:
        RunError: The file cannot be written.
    """
    with replace_atomically(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([columns, *rows])


def read_history(path: Path) -> pd.DataFrame:
    """Read the validations of a training, the last of which may not have been written before it was stopped.

    Raises:
        RunError: The file is missing or damaged, or differs from the history in the weights beside it.
    """
    weights = path.with_name("weights.npz")
    try:
        with open_file(path) as file:
            frame = pd.read_csv(file, dtype=float)
        known = read_arrays(weights)[HISTORY] if weights.exists() else np.empty(0)
        is_long_enough = len(known) - 1 <= len(frame) <= len(known)
        if known.size and not (is_long_enough and np.allclose(frame, known[: len(frame)], 1e-9, 0.0, True)):
            raise ValueError("it differs from the history in weights.npz")
    except UNREADABLE as problem:
        raise damage_error(path, problem) from problem
    return frame


def write_text(path: Path, text: str) -> None:
    """Write a text file, whole or not at all.

    Raises:
        RunError: The file cannot be written.
    """
    with replace_atomically(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
