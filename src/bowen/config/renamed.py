"""Names that settings and parameters had before format 5 of run directories, and their names today.

A configuration with an old name is refused with the new one; a run directory with old names is migrated.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from bowen.errors import ConfigError

TABLES = {"tower": "data", "contest": "comparison"}

SETTINGS: Mapping[str, Mapping[str, str]] = {
    "data": {"radiation": "net_radiation", "leave_out": "exclude"},
    "model": {
        "hidden": "hidden_size",
        "newton": "newton_iterations",
        "states": "state_feedback",
        "owned": "site_specific",
        "strangers": "train_as_unseen",
        "corrections": "water_corrections",
        "regional": "regionalized",
        "regional_by": "regionalized_by",
    },
    "training": {
        "steps": "updates",
        "columns": "windows_per_site",
        "averaging": "ema_decay",
        "gradient_clip": "clip_gradient_norm",
        "head_rate": "head_lr_factor",
        "static_rate": "static_lr_factor",
    },
    "benchmark": {"contestants": "models"},
}

VALUES: Mapping[tuple[str, str], Mapping[str, str]] = {
    ("data", "net_radiation"): {
        "balance": "computed",
        "prescribed": "measured",
        "either": "measured_if_available",
    },
    ("data", "closure"): {"observed-through": "learned_fraction", "measured": "measured_fraction"},
    ("model", "state_feedback"): {"fed": "on", "stopped": "stop_gradient", "none": "off"},
    ("model", "stability"): {"critical": "monin_obukhov", "coupled": "monin_obukhov_limited"},
    ("model", "evaporation"): {"energy": "priestley_taylor"},
}

REMOVED = {("model", "solver"): ("implicit", "the implicit step is the only one")}  # its default, and why

PARAMETERS = {
    "surface_resistance": "minimum_stomatal_resistance",
    "energy_coefficient": "priestley_taylor_coefficient",
    "half_light": "light_half_saturation",
    "dryness_response": "vpd_sensitivity",
    "cold_response": "cold_sensitivity",
    "root_half_warmth": "root_temperature_half_saturation",
    "melt_resistance": "canopy_snow_resistance",
    "snow_retention": "snow_water_holding_fraction",
    "ground_albedo_rise": "ground_albedo_cold_increase",
    "snow_albedo_rise": "snow_albedo_cold_increase",
    "freezing_water": "freezable_water",
    "canopy_capacity": "interception_capacity",
    "root_capacity": "root_zone_capacity",
    "quick_share": "quickflow_fraction",
    "quick_residence_time": "quickflow_residence_time",
    "capacity_spread": "infiltration_shape",
    "leakage": "max_drainage",
    "leakage_exponent": "drainage_exponent",
    "capillary_rate": "capillary_rise_rate",
    "observed_fraction": "closure_fraction",
    "closure_skew": "closure_partitioning",
    "latent_heat_error": "latent_heat_noise_scale",
    "positive_only": "is_latent_heat_truncated",
    "least_wind": "gustiness",
}


def find_renamed(document: Mapping[str, Any], where: str) -> Iterator[str]:
    """Yield a message for each old name in a configuration, with its place and its name of today."""
    for old_table, table in document.items():
        name = TABLES.get(old_table, old_table)
        if old_table in TABLES:
            yield str(ConfigError(where, f"[{old_table}] is now [{name}]", fix="rename the table."))
        if not isinstance(table, Mapping):
            continue
        here = f"{where} [{name}]"
        for old_setting, value in table.items():
            if (name, old_setting) in REMOVED:
                reason = REMOVED[name, old_setting][1]
                yield str(ConfigError(here, f"`{old_setting}` is gone: {reason}", fix="remove the setting."))
                continue
            setting = SETTINGS.get(name, {}).get(old_setting, old_setting)
            if setting != old_setting:
                yield str(ConfigError(here, f"`{old_setting}` is now `{setting}`", fix="rename the setting."))
            for old in value if isinstance(value, list) else [value]:
                new = VALUES.get((name, setting), {}).get(old) if isinstance(old, str) else None
                new = new or (PARAMETERS.get(old) if isinstance(value, list) and isinstance(old, str) else None)
                if new:
                    yield str(ConfigError(here, f'"{old}" in `{setting}` is now "{new}"', fix="rename the value."))


def migrate_settings(document: Mapping[str, Any]) -> dict[str, Any]:
    """Translate the tables of a configuration with old names into tables with the names of today."""

    def value_today(table: str, setting: str, value: Any) -> Any:
        if isinstance(value, list):
            return [PARAMETERS.get(item, item) if isinstance(item, str) else item for item in value]
        return VALUES.get((table, setting), {}).get(value, value) if isinstance(value, str) else value

    migrated: dict[str, Any] = {}
    for old_table, table in document.items():
        name = TABLES.get(old_table, old_table)
        if not isinstance(table, Mapping):
            migrated[name] = table
            continue
        kept = {old: value for old, value in table.items() if REMOVED.get((name, old), (None,))[0] != value}
        names = {old: SETTINGS.get(name, {}).get(old, old) for old in kept}
        migrated[name] = {names[old]: value_today(name, names[old], value) for old, value in kept.items()}
    return migrated
