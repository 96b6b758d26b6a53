"""Migration of run directories: names in older formats, and their names today.

To rename an attribute of a model, a state or a parameter, add a row to `ARRAY_NAMES` of the last released format; a
setting, a value or a parameter that configurations name has its row in `bowen.config.renamed`.
"""

import math
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from bowen.config.renamed import PARAMETERS, migrate_settings

FORMAT = 5
OLDEST_FORMAT = 4  # that is still read

# By the format that has the old names: rows of a place in the pytree and its place today, applied in order. A row
# matches whole parts of a place, wherever they are in it, with a dollar sign at its end alone; None drops the array.
ARRAY_NAMES: Mapping[int, tuple[tuple[str, str | None], ...]] = {
    4: (
        *((f"{part}/{old}", f"{part}/{new}") for old, new in PARAMETERS.items() for part in ("base", "offsets")),
        ("base/closure_fraction", "tower/closure_fraction"),
        ("base/closure_partitioning", "tower/closure_partitioning"),
        ("base/latent_heat_noise_scale", "tower/latent_heat_noise_scale"),
        ("base/is_latent_heat_truncated", "tower/is_latent_heat_truncated"),
        ("base/demand", None),
        ("base/prescribed_radiation", None),
        ("base", "land"),
        ("regional", "regionalization"),
        ("cell/weight", "network/weight"),
        ("cell/bias", "network/bias"),
        ("scale/spread", "scale/deviation"),
        ("carry/0/0", "carry/0/hidden"),
        ("carry/0/1", "carry/0/cell"),
        ("carry/0$", "carry/hidden"),
        ("carry/1$", "carry/cell"),
        ("carry/soil_warmth", "carry/soil_temperature_excess"),
        ("carry/root_water", "carry/root_zone_water"),
        ("carry/quick_water", "carry/quickflow_water"),
        ("carry/1/soil_warmth", "carry/1/soil_temperature_excess"),
        ("carry/1/root_water", "carry/1/root_zone_water"),
        ("carry/1/quick_water", "carry/1/quickflow_water"),
        ("tally", "validation_sums"),
        ("waited", "validations_without_gain"),
    ),
}
# By the format that has the old names: features of the scaler and their names today.
FEATURE_NAMES: Mapping[int, Mapping[str, str]] = {4: {}}


def migrate_arrays(arrays: Mapping[str, np.ndarray], written: int) -> dict[str, np.ndarray]:
    """Give arrays the places of today.

    Args:
        arrays: By place.
        written: Format of their directory; arrays that have the places of today already keep them.
    """
    rows = [row for number in range(written, FORMAT) for row in ARRAY_NAMES.get(number, ())]
    ends = [(re.escape(old.removesuffix("$")), "$" if old.endswith("$") else "(?![^/])", new) for old, new in rows]
    patterns = [(re.compile(rf"(?<![^/]){old}{end}"), new) for old, end, new in ends]
    migrated = {}
    for name, array in arrays.items():
        place: str | None = name
        for pattern, new in patterns:
            if place is not None and pattern.search(place):
                place = None if new is None else pattern.sub(new, place)
        if place is not None:
            migrated[place] = array
    return migrated


def migrate_manifest(content: Mapping[str, Any], written: int) -> dict[str, Any]:
    """Give the content of run.json the form of today."""
    content = dict(content)
    if written < 5:
        checksums = content["fingerprints"]
        unknown = {"site": "", "latitude": math.nan, "longitude": math.nan, "first": "", "last": ""}
        content["records"] = [{"fingerprint": mark, "has_corrections": False, **unknown} for mark in checksums]
        if checksums:
            content["records"][0] |= {name: content["site"][name] for name in unknown if name in content["site"]}
        content["labeling"] = "split" if len(checksums) == 1 else "unknown"
        content |= {"purpose": "training", "weights": "", "as_unseen": False}
    for number in range(written, FORMAT):
        names, scaler = FEATURE_NAMES.get(number, {}), dict(content["scaler"])
        for part in ("mean", "spread"):
            scaler[part] = {names.get(name, name): value for name, value in scaler[part].items()}
        scaler["optional"] = [names.get(name, name) for name in scaler.get("optional", ())]
        content["scaler"] = scaler
    return content


def migrate_config(document: Mapping[str, Any]) -> dict[str, Any]:
    """Give the tables of config.toml the names of today."""
    return migrate_settings(document)
