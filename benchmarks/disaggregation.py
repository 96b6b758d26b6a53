"""Errors of disaggregated forcing, and of LaD driven by it, at every tower of a folder.

A year of each tower is aggregated to days and disaggregated to half-hours again, and LaD is driven by the true and by
the disaggregated ones: once from all daily variables ("all"), once from those that daily towers have ("lean": shortwave
radiation, extremes of temperature, vapor pressure deficit, rain). `python benchmarks/disaggregation.py FOLDER` prints
the table; FOLDER is `towers` of the shared data.
"""

import argparse
import statistics
from pathlib import Path

import numpy as np
import xarray as xr

LEAN = ("shortwave_down", "air_temperature_min", "air_temperature_max", "vapor_pressure_deficit", "precipitation")
DAYS = 365


def of(folder: Path, name: str) -> xr.Dataset:
    """Read the first year of a tower in whole days, with gaps filled."""
    from bowen.data import fill_forcing, read

    met = folder / name
    flux = met.with_name(met.name.replace("_Met", "_Flux"))
    record = fill_forcing(read(met, flux if flux.exists() else None))
    stamps = record.time.values
    start = int(np.argmin(stamps - stamps.astype("datetime64[D]")))
    steps = 86400 // record.attrs["timestep_s"]
    count = min(DAYS, (len(stamps) - start) // steps)
    return record.isel(time=slice(start, start + count * steps))


def daily_latent_heat(record: xr.Dataset) -> np.ndarray:
    """Compute daily means of the latent heat of uncalibrated LaD, spun up by cycling the record. [W m-2]."""
    import equinox as eqx
    import jax.numpy as jnp

    from bowen.data.features import FEATURE_FORCING
    from bowen.land.land_classes import parameters_for
    from bowen.land.variables import Forcing, initial_state
    from bowen.models.base import Process
    from bowen.models.rollout import Inputs, spin_up, unroll

    arrays = {name: jnp.asarray(record[name].values) for name in FEATURE_FORCING}
    forcing = Forcing(**arrays, longwave_down=jnp.asarray(record["longwave_down"].values))
    step = record.attrs["timestep_s"]
    inputs = Inputs(forcing, jnp.zeros((record.sizes["time"], 1)), jnp.asarray(float(step)))
    site = {key: record.attrs[key] for key in ("reference_height", "canopy_height")}
    base = parameters_for(record.attrs["igbp"], **site)
    model, state = Process(base, ()), initial_state(base, forcing.air_temperature.mean())
    carry = spin_up(model, state, inputs, 2)
    _, heat = eqx.filter_jit(unroll)(model, carry, inputs, latent_heat)
    return np.asarray(heat).reshape(-1, 86400 // step).mean(axis=1)


def latent_heat(record):
    """Return the latent heat of a model output. [W m-2]."""
    return record.fluxes.latent_heat


def worst_return(given: xr.Dataset, made: xr.Dataset) -> float:
    """Compute the largest relative difference between daily values and means of the disaggregated ones. [1]."""
    from bowen.data import aggregate_to_days

    back = aggregate_to_days(made)
    names = [n for n in given.data_vars if n in back and n != "specific_humidity" and not str(n).endswith("_qc")]
    return max(float(abs(back[n] - given[n]).max() / abs(given[n]).max()) for n in names)


def compare(record: xr.Dataset) -> dict[str, float]:
    """Compute one row of the table."""
    from bowen.data import aggregate_to_days, disaggregate

    days = aggregate_to_days(record)
    lean = days[[name + end for name in LEAN for end in ("", "_qc")]].assign_attrs(days.attrs)
    made = {"all": disaggregate(days), "lean": disaggregate(lean)}
    true = daily_latent_heat(record)
    row = {"days": days.sizes["time"], "return": worst_return(days, made["all"])}
    row["return lean"] = worst_return(lean, made["lean"])
    row["SW r"] = float(np.corrcoef(record.shortwave_down, made["lean"].shortwave_down)[0, 1])
    for kind, ours in made.items():
        row[f"T RMSE {kind}"] = rmse(ours.air_temperature.values, record.air_temperature.values)
    row["LE"] = float(true.mean())
    for kind, ours in made.items():
        heat = daily_latent_heat(ours)
        row[f"LE % {kind}"] = 100.0 * float(heat.mean() / true.mean() - 1.0)
        row[f"LE RMSE {kind}"] = rmse(heat, true)
    return row


def rmse(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Compute the root mean square error."""
    return float(np.sqrt(np.mean((ours - theirs) ** 2)))


def main() -> None:
    """Compare at every tower and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="folder of *_Met.nc and *_Flux.nc files")
    files = sorted(parser.parse_args().folder.glob("*_Met.nc"))
    rows = {path.name.rsplit("_", 2)[0]: compare(of(path.parent, path.name)) for path in files}
    header = list(next(iter(rows.values())))
    print(f"| tower | {' | '.join(header)} |\n|{'---|' * (len(header) + 1)}")
    for name, row in rows.items():
        print(f"| {name} | {' | '.join(f'{row[key]:.3g}' for key in header)} |")
    middle = {key: statistics.median(abs(row[key]) for row in rows.values()) for key in header}
    print(f"| median, of absolute values | {' | '.join(f'{middle[key]:.3g}' for key in header)} |")


if __name__ == "__main__":
    main()
