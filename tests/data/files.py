"""Small files in the real layouts, made of a smooth synthetic tower, so that each test can spoil what it is about."""

from itertools import cycle

import numpy as np
import pandas as pd
import xarray as xr

from bowen.physics.thermodynamics import saturation_vapor_pressure

SITE = {"latitude": 50.0, "longitude": 15.0, "elevation": 400.0, "igbp": "GRA", "utc_offset_hours": 1.0}
BASIN = "01013500"
HEADER = "Year Mnth Day Hr dayl(s) prcp(mm/day) srad(W/m2) swe(mm) tmax(C) tmin(C) vp(Pa)"
GAUGES = (
    "HUC_02\tGAGE_ID\t\t\tGAGE_NAME\t\t\t\t\tLAT\t\tLONG\t\tDRAINAGE AREA (KM^2)\n"
    f"01\t{BASIN}\t       Fish River near Fort Kent, Maine\t  47.23739\t -68.58264\t   2252.70\n"
)
BASINS = (
    "BASIN_HUC BASIN_ID Size(km2) Elevation(m) Slope(m_km-1) Frac_Forest(percent)\n"
    f"01 {BASIN}    2303.95    250.31   21.64152 0.9063\n"
)


def weather(days=16, step=1800, start="2012-02-20"):
    """Weather and fluxes in the units of FLUXNET, over a leap day, stamped at the start of the interval."""
    time = pd.date_range(start, periods=days * 86400 // step, freq=f"{step}s")
    hour = np.asarray(time.hour + time.minute / 60.0) + step / 7200.0 - 0.2  # at the end of winter the sun is late
    day = np.arange(len(time)) * step / 86400.0
    sun = np.maximum(np.sin((hour - 6.0) * np.pi / 12.0), 0.0)
    temperature = 8.0 + 6.0 * sun + np.sin(day)
    saturated = saturation_vapor_pressure(temperature + 273.15) / 100.0
    relative_humidity = 90.0 - 45.0 * sun
    return pd.DataFrame(
        {
            "SW_IN_F": 700.0 * sun,
            "LW_IN_F": 300.0 + 10.0 * np.sin(day),
            "NETRAD": 500.0 * sun - 40.0,
            "TA_F": temperature,
            "VPD_F": saturated * (1.0 - relative_humidity / 100.0),
            "RH": relative_humidity,
            "PA_F": 96.0 + 0.5 * np.cos(day),
            "WS_F": 2.0 + sun,
            "P_F": np.where(np.arange(len(time)) % 37 == 0, 0.9, 0.0),
            "LE_F_MDS": 200.0 * sun,
            "H_F_MDS": 150.0 * sun - 20.0,
            "G_F_MDS": 50.0 * sun - 10.0,
            "LE_CORR": 220.0 * sun,
            "H_CORR": 170.0 * sun - 20.0,
        },
        index=time,
    )


def fluxnet_table(days=16, step=1800, start="2012-02-20"):
    """A FULLSET table, with flags and both stamps, as text-ready columns."""
    table = weather(days, step, start)
    for name in ("SW_IN_F", "LW_IN_F", "TA_F", "VPD_F", "PA_F", "WS_F", "P_F", "LE_F_MDS", "H_F_MDS", "G_F_MDS"):
        table[f"{name}_QC"] = 0
    stamps = table.index
    table.insert(0, "TIMESTAMP_START", stamps.strftime("%Y%m%d%H%M"))
    table.insert(1, "TIMESTAMP_END", (stamps + pd.Timedelta(seconds=step)).strftime("%Y%m%d%H%M"))
    table["RECO_SR"] = -9999
    return table.reset_index(drop=True)


def write_csv(path, table):
    table.to_csv(path, index=False)
    return path


def plumber2_files(days=16, step=1800, start="2012-02-20"):
    """A Met and a Flux dataset as PLUMBER2 has them: single precision, x = y = 1, hPa, blanks after the class."""
    table = weather(days, step, start)
    place = ("time", "y", "x")

    def variable(values, units):
        return place, np.asarray(values, dtype=np.float32)[:, None, None], {"units": units}

    saturated = saturation_vapor_pressure(np.asarray(table.TA_F) + 273.15)
    vapor = saturated * np.asarray(table.RH) / 100.0
    met = {
        "SWdown": variable(table.SW_IN_F, "W/m2"),
        "LWdown": variable(table.LW_IN_F, "W/m2"),
        "Tair": variable(table.TA_F + 273.15, "K"),
        "VPD": variable(table.VPD_F, "hPa"),
        "Qair": variable(0.622 * vapor / (table.PA_F * 1000.0), "kg/kg"),
        "RH": variable(table.RH, "%"),
        "Psurf": variable(table.PA_F * 1000.0, "Pa"),
        "Wind": variable(table.WS_F, "m/s"),
        "Precip": variable(table.P_F / step, "kg/m2/s"),
        "LAI": variable(np.full(len(table), 2.0), "-"),
    }
    flux = {
        "Qle": variable(table.LE_F_MDS, "W/m2"),
        "Qh": variable(table.H_F_MDS, "W/m2"),
        "Qg": variable(table.G_F_MDS, "W/m2"),
        "Rnet": variable(table.NETRAD, "W/m2"),
        "NEE": variable(np.zeros(len(table)), "umol/m2/s"),
    }
    for group in (met, flux):
        for name in [name for name in group if name not in ("LAI", "Rnet")]:
            group[f"{name}_qc"] = variable(np.zeros(len(table)), "1")
    numbers = {"latitude": 50.0, "longitude": 15.0, "elevation": 400.0, "reference_height": 10.0, "canopy_height": 0.5}
    site = {key: (("y", "x"), np.full((1, 1), value, dtype=np.float32)) for key, value in numbers.items()}
    site["IGBP_veg_short"] = ((), np.bytes_("GRA".ljust(40)))
    coordinates = {"time": table.index, "y": [1.0], "x": [1.0]}
    return tuple(xr.Dataset({**group, **site}, coordinates, {"site_code": "XX-Syn"}) for group in (met, flux))


def write_nc(path, dataset, engine="scipy", time_type="float64"):
    """NetCDF 3 by default, because it is written in a tenth of the time."""
    encoding = {"time": {"units": f"seconds since {str(dataset.time.values[0])[:10]}", "dtype": time_type}}
    dataset.to_netcdf(path, engine=engine, format="NETCDF3_CLASSIC" if engine == "scipy" else None, encoding=encoding)
    return path


def camels_folder(folder, rows=5):
    """Some days of a basin, from the end of February 1980 on."""
    root = folder / "reduced_camels"
    forcing = root / "basin_mean_forcing" / "daymet" / "01" / f"{BASIN}_lump_cida_forcing_leap.txt"
    flow = root / "usgs_streamflow" / "01" / f"{BASIN}_streamflow_qc.txt"
    for path in (forcing, flow, root / "basin_metadata" / "x"):
        path.parent.mkdir(parents=True, exist_ok=True)
    days = pd.date_range("1980-02-27", periods=rows)
    weather = [
        f"{day:%Y %m %d} 12\t{36000 + k:.2f}\t{k}.50\t200.00\t{k}.00\t{k}.25\t-6.50\t350.00"
        for k, day in enumerate(days)
    ]
    forcing.write_text("\n".join(["  46.84", " 353.00", "2260093113", HEADER, *weather]) + "\n")
    flags = ["655.00 A", "640.00 A:e", "-999.00 M", "-1.00 A", "0.00 A"]
    flow.write_text(
        "\n".join(f"{BASIN} {day:%Y %m %d}   {flag}" for day, flag in zip(days, cycle(flags), strict=False)) + "\n"
    )
    (root / "basin_metadata" / "gauge_information.txt").write_text(GAUGES)
    (root / "basin_metadata" / "basin_physical_characteristics.txt").write_text(BASINS)
    return root
