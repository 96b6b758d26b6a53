"""What bowen asks of XLA, which compiles for JAX: options that a process chooses before JAX begins to compute.

Each appends to `XLA_FLAGS`, unless its option is named there or they name a file of flags. The command `bowen` calls
all three, `import bowen` none; once JAX has computed, they do nothing.
"""

import os

OPTION = "xla_cpu_use_multi_output_fusion"
LOOPS, SMALL = "xla_cpu_small_while_loop_byte_threshold", 1 << 18  # bytes that a loop carries
DEVICES = "xla_force_host_platform_device_count"


def fuse_more() -> None:
    """Let XLA compute in one loop what reads the same arrays: training on a device for each core takes a fifth less.

    The option is an experiment of XLA's: numbers differ by round-off, and an XLA that does not know it passes over it,
    as GPUs do. To do without it: `XLA_FLAGS=--xla_disable_hlo_passes=cpu_multi_output_fusion`.
    """
    append_flag(OPTION, f"--xla_backend_extra_options={OPTION}=true")


def fuse_loops() -> None:
    """Let XLA compile a small loop to one kernel: training takes a sixth less, a `Process` in one column two thirds.

    Numbers differ by round-off, and an untrained `Hybrid` is the process to round-off, no longer to the bit. Since
    jaxlib 0.12 XLA does so by itself where few columns run.
    """
    append_flag(LOOPS, f"--xla_backend_extra_options={LOOPS}={SMALL}")


def use_cores() -> None:
    """Make each core that this process may use a device, between which training shares its columns out.

    XLA's own threads divide the work of one device so finely that two cores are slower than one. GPUs are left as they
    are. To do without it: `XLA_FLAGS=--xla_force_host_platform_device_count=1`, or `JAX_NUM_CPU_DEVICES` in JAX's way.
    """
    if "JAX_NUM_CPU_DEVICES" not in os.environ:
        append_flag(DEVICES, f"--{DEVICES}={cores()} --xla_cpu_multi_thread_eigen=false")


def cores() -> int:
    """How many this process may use, where the system tells, or else how many there are."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def append_flag(name: str, words: str) -> None:
    """Append words to the flags of XLA, unless they name the option or are the name of a file."""
    flags = os.environ.get("XLA_FLAGS", "").strip()
    if name not in flags and (not flags or flags.startswith("-")):
        os.environ["XLA_FLAGS"] = f"{flags} {words}".strip()
