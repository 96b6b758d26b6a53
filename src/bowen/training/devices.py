"""Devices: each computes its share of the columns and holds the whole model; one device is the same case as many.

Several processes are one program on all of their devices: each makes the batches of its own columns, and only the
first one writes.
"""

import os
from collections.abc import Callable
from typing import Any, TypeVar

import equinox as eqx
import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from bowen.errors import ConfigError, RunError

COLUMN = "column"  # the only axis of a mesh
REPLICATED: Any = PartitionSpec()  # every device has the whole
COLUMNS_FIRST: Any = PartitionSpec(COLUMN)  # columns are first, or second, and each device has its own
COLUMNS_SECOND: Any = PartitionSpec(None, COLUMN)
Tree = TypeVar("Tree")


def join_processes() -> None:
    """Join the processes that a scheduler, mpirun or the environment names, before JAX is used.

    Raises:
        ConfigError: No others are named, or they do not answer.
    """
    given = (os.environ.get(name) for name in ("JAX_NUM_PROCESSES", "JAX_PROCESS_ID"))
    try:
        count, number = (int(text) if text else None for text in given)
        jax.distributed.initialize(num_processes=count, process_id=number)
    except (ValueError, RuntimeError) as problem:
        raise ConfigError(
            "--distributed",
            f"this process does not find the others ({problem})",
            fix="start it with srun or mpirun, or set JAX_COORDINATOR_ADDRESS (host and free port of the first), "
            "JAX_NUM_PROCESSES and JAX_PROCESS_ID",
        ) from problem


def is_writer() -> bool:
    """Return True in the process that writes files and messages."""
    return jax.process_index() == 0


def check_same_update(step: int) -> None:
    """Check that all processes go on from the same update.

    Raises:
        RunError: They do not.
    """
    if len(steps := np.unique(multihost_utils.process_allgather(np.asarray(step)))) > 1:
        raise RunError(
            "--distributed",
            f"the processes would go on from different updates ({', '.join(map(str, steps))})",
            fix="give all of them one run directory, on a disk that they share",
        )


def mesh_for(columns: int) -> Mesh:
    """Choose as many devices of each process as are useful, so that none has more columns than it must."""
    devices = [[here for here in jax.devices() if here.process_index == at] for at in range(jax.process_count())]
    processes, most = len(devices), min(map(len, devices))
    each = -(-columns // (processes * most))
    count = -(-columns // (processes * each))
    return Mesh(np.array([here[:count] for here in devices]).ravel(), (COLUMN,))


def column_places(mesh: Mesh, columns: int) -> np.ndarray:
    """Assign a column to each place of the devices; the last device is padded with copies of the last column."""
    return np.minimum(np.arange(-(-columns // mesh.size) * mesh.size), columns - 1)


def local_columns(mesh: Mesh, columns: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the columns of this process, and the weight of each: zero for a copy that pads a device.

    Over all devices the mean weight is one.
    """
    which = column_places(mesh, columns)
    counts = (np.arange(len(which)) < columns) * (len(which) / columns)
    here, count = jax.process_index(), jax.process_count()
    return np.split(which, count)[here], np.split(counts, count)[here]


def place_on_devices(mesh: Mesh, tree: Tree, where: Any) -> Tree:
    """Place arrays that every process has whole on the devices; `where` partitions each array or branch."""

    def place(x, axis, spec):
        whole = np.asarray(x)
        if axis is not None:
            whole = whole.take(column_places(mesh, whole.shape[axis]), axis)
        return jax.make_array_from_callback(whole.shape, NamedSharding(mesh, spec), whole.__getitem__)

    return map_arrays(place, tree, where)


def gather_from_devices(mesh: Mesh, tree: Tree, where: Any, columns: int) -> Tree:
    """Gather arrays from the devices, whole and on one device of every process; undoes `place_on_devices`."""

    def gather(x, axis, _):
        whole = jax.device_put(x, NamedSharding(mesh, REPLICATED)).addressable_data(0)
        return whole if axis is None else jax.lax.slice_in_dim(whole, 0, columns, axis=axis)

    return map_arrays(gather, tree, where)


def map_arrays(function: Callable, tree: Tree, where: Any) -> Tree:
    """Apply a function to each array, the axis of its columns (or None) and its partition."""

    def branch(spec, below):
        axis = tuple(spec).index(COLUMN) if COLUMN in tuple(spec) else None
        return jax.tree.map(lambda x: function(x, axis, spec) if eqx.is_array(x) else x, below)

    return jax.tree.map(branch, where, tree, is_leaf=lambda spec: isinstance(spec, PartitionSpec))


def place_batch(mesh: Mesh, tree: Tree) -> Tree:
    """Place series on the devices, of which every process has its own columns, second."""

    def put(x, spec):
        return jax.make_array_from_process_local_data(NamedSharding(mesh, spec), x)

    return jax.tree.map(put, tree, batch_specs(tree))


def batch_specs(tree: Any) -> Any:
    """Return the partition of series: columns second, scalars replicated."""
    return jax.tree.map(lambda x: COLUMNS_SECOND if x.ndim else REPLICATED, tree)


def shard_columns(mesh: Mesh, function: Callable, gives: Any) -> Callable:
    """Run a function of a model, carries, series and sites on each device, for the columns it has.

    Args:
        mesh: The devices.
        function: Takes sums over devices itself. Left to `check_vma`, one would be taken at every step of the backward
            pass, wherever a weight meets a column.
        gives: Partition of its results.
    """

    def run(model, carry, batch, sites):
        arrays, rest = eqx.partition(model, eqx.is_array)
        shared_out = jax.shard_map(
            lambda arrays, *columns: function(eqx.combine(arrays, rest), *columns),
            mesh=mesh,
            in_specs=(REPLICATED, COLUMNS_FIRST, batch_specs(batch), COLUMNS_FIRST),
            out_specs=gives,
            check_vma=False,
        )
        return shared_out(arrays, carry, batch, sites)

    return run
