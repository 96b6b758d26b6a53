"""Options of XLA, the compiler of JAX, which a process sets before JAX computes anything.

Each function appends to `XLA_FLAGS`, unless its option is there already or the variable names a file of flags. The
command `bowen` calls all three, `import bowen` none; after JAX has computed they do nothing.
"""

import os

OPTION = "xla_cpu_use_multi_output_fusion"
LOOPS, SMALL = "xla_cpu_small_while_loop_byte_threshold", 1 << 18  # bytes that a loop carries
DEVICES = "xla_force_host_platform_device_count"


def fuse_more() -> None:
    """Let XLA fuse loops that read the same arrays: training with a device for each core takes a fifth less time.

    The option is experimental: numbers differ by round-off, and an XLA that does not know it ignores it, as GPUs do.
    To turn it off: `XLA_FLAGS=--xla_disable_hlo_passes=cpu_multi_output_fusion`.
    """
    append_flag(OPTION, f"--xla_backend_extra_options={OPTION}=true")


def fuse_loops() -> None:
    """Let XLA compile a small loop to one kernel: training takes a sixth less time, one column of `Process` two thirds.

    Numbers differ by round-off, and an untrained `Hybrid` equals `Process` to round-off only. Since jaxlib 0.12 XLA
    does this by itself for few columns.
    """
    append_flag(LOOPS, f"--xla_backend_extra_options={LOOPS}={SMALL}")


def use_cores() -> None:
    """Make a device of each core that this process may use; training distributes its columns over devices.

    XLA's own threads divide the work of one device so finely that two cores are slower than one. GPUs are not
    affected. To turn it off: `XLA_FLAGS=--xla_force_host_platform_device_count=1`, or set `JAX_NUM_CPU_DEVICES`.
    """
    if "JAX_NUM_CPU_DEVICES" not in os.environ:
        append_flag(DEVICES, f"--{DEVICES}={cores()} --xla_cpu_multi_thread_eigen=false")


def cores() -> int:
    """Count the cores this process may use or, where the system does not say, all cores."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def append_flag(name: str, words: str) -> None:
    """Append words to the flags of XLA, unless they name the option or are the name of a file."""
    flags = os.environ.get("XLA_FLAGS", "").strip()
    if name not in flags and (not flags or flags.startswith("-")):
        os.environ["XLA_FLAGS"] = f"{flags} {words}".strip()
