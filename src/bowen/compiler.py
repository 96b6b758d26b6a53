"""What bowen asks of XLA, which compiles for JAX: options that a process chooses before JAX begins to compute."""

import os

OPTION = "xla_cpu_use_multi_output_fusion"


def fuse_more() -> None:
    """Let XLA compute in one loop what reads the same arrays: training on a device for each core takes a fifth less.

    Call it before JAX computes anything; afterwards it does nothing. The command `bowen` calls it, `import bowen` does
    not. It appends to `XLA_FLAGS`, unless the option is named there or they name a file of flags. The option is an
    experiment of XLA's: numbers differ by round-off, and an XLA that does not know it passes over it, as GPUs do. To
    do without it: `XLA_FLAGS=--xla_disable_hlo_passes=cpu_multi_output_fusion`.
    """
    flags = os.environ.get("XLA_FLAGS", "").strip()
    if OPTION not in flags and (not flags or flags.startswith("-")):
        os.environ["XLA_FLAGS"] = f"{flags} --xla_backend_extra_options={OPTION}=true".strip()
