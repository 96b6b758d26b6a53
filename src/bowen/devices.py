"""Devices: each computes its share of the columns and knows all of the model. One device is no other case than many.

Several processes are one program on the devices of all: each makes the batches of its own columns, and the first alone
writes.
"""

import logging
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
ALL: Any = PartitionSpec()  # every device has the whole
FIRST: Any = PartitionSpec(COLUMN)  # columns are first, or second, and each device has its own
SECOND: Any = PartitionSpec(None, COLUMN)
Tree = TypeVar("Tree")


def join() -> None:
    """Make this process one of those a scheduler, mpirun or the environment tell of, before JAX is used.

    Raises:
        ConfigError: Nothing tells of others, or they do not answer.
    """
    told = (os.environ.get(name) for name in ("JAX_NUM_PROCESSES", "JAX_PROCESS_ID"))
    try:
        count, number = (int(text) if text else None for text in told)
        jax.distributed.initialize(num_processes=count, process_id=number)
    except (ValueError, RuntimeError) as problem:
        raise ConfigError(
            f"--distributed: this process does not find the others ({problem}).\n"
            "  to go on: start it with srun or mpirun, or set JAX_COORDINATOR_ADDRESS (host and free port of the "
            "first), JAX_NUM_PROCESSES and JAX_PROCESS_ID."
        ) from problem


def writes() -> bool:
    """Whether this process is the one that writes and tells."""
    return jax.process_index() == 0


def agree(step: int) -> None:
    """Check that all processes go on from the same update.

    Raises:
        RunError: They do not.
    """
    if len(steps := np.unique(multihost_utils.process_allgather(np.asarray(step)))) > 1:
        raise RunError(
            f"the processes would go on from different updates ({', '.join(map(str, steps))}).\n"
            "  to go on: give all of them one run directory, on a disk that they share."
        )


def mesh_for(columns: int) -> Mesh:
    """The devices to share columns out to: all, or as many of each process as share them out evenly.

    Raises:
        ConfigError: There are more processes than share them out evenly.
    """
    devices = [[here for here in jax.devices() if here.process_index == at] for at in range(jax.process_count())]
    processes, most = len(devices), min(map(len, devices))
    count = max((count for count in range(1, most + 1) if columns % (count * processes) == 0), default=0)
    even = "choose `columns` so that towers times columns is a multiple of"
    if count == 0:
        raise ConfigError(
            f"{columns} columns cannot be shared out evenly among {processes} processes.\n"
            f"  to go on: {even} {processes}, or start fewer processes."
        )
    if count < most and writes():
        logging.getLogger("bowen").warning(
            f"{count * processes} of {most * processes} devices train, which share {columns} columns out evenly.\n"
            f"  to use all: {even} {most * processes}."
        )
    return Mesh(np.array([here[:count] for here in devices]).ravel(), (COLUMN,))


def mine(columns: int) -> np.ndarray:
    """Which columns the devices of this process have."""
    return np.array_split(np.arange(columns), jax.process_count())[jax.process_index()]


def placed(mesh: Mesh, tree: Tree, where: Any) -> Tree:
    """Arrays that every process has whole, over the devices; `where` tells of each or of a branch where columns are."""

    def place(spec, branch):
        def put(x):
            return jax.make_array_from_callback(x.shape, NamedSharding(mesh, spec), np.asarray(x).__getitem__)

        return jax.tree.map(lambda x: put(x) if eqx.is_array(x) else x, branch)

    return jax.tree.map(place, where, tree, is_leaf=lambda spec: isinstance(spec, PartitionSpec))


def gathered(mesh: Mesh, tree: Tree) -> Tree:
    """Arrays that are over the devices, whole and on one device of every process."""

    def gather(x):
        return jax.device_put(x, NamedSharding(mesh, ALL)).addressable_data(0)

    return jax.tree.map(lambda x: gather(x) if eqx.is_array(x) else x, tree)


def batched(mesh: Mesh, tree: Tree) -> Tree:
    """Series of which every process has its own columns, second, over the devices."""

    def put(x, spec):
        return jax.make_array_from_process_local_data(NamedSharding(mesh, spec), x)

    return jax.tree.map(put, tree, series(tree))


def series(tree: Any) -> Any:
    """Where columns are in series: second, and in a scalar nowhere."""
    return jax.tree.map(lambda x: SECOND if x.ndim else ALL, tree)


def over_columns(mesh: Mesh, function: Callable, gives: Any) -> Callable:
    """A function of a model and of what columns carry, their series and sites, on each device for the columns it has.

    Args:
        mesh: The devices.
        function: What each does; sums over devices are its own to take. Were they left to `check_vma`, one would be
            taken at every step of the backward pass, wherever a weight meets a column.
        gives: Where columns are in what it returns.
    """

    def run(model, carry, batch, sites):
        arrays, rest = eqx.partition(model, eqx.is_array)
        shared_out = jax.shard_map(
            lambda arrays, *columns: function(eqx.combine(arrays, rest), *columns),
            mesh=mesh,
            in_specs=(ALL, FIRST, series(batch), FIRST),
            out_specs=gives,
            check_vma=False,
        )
        return shared_out(arrays, carry, batch, sites)

    return run
