"""The report: what it holds, what it never holds, and that it does without what is missing."""

import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from bowen.errors import DataError, RunError
from bowen.reporting import write_report
from bowen.reporting.wording import MINUS, describe_variable
from tests.unit.made_tower import fluxes_of, labels, physics_of, scores_of, tower

SECTIONS = ("skill", "series", "cycles", "scatter", "parameters", "states", "budgets", "training", "notes")


def reported(path, record, simulations, **keywords):
    split = labels(record)
    write_report(
        path, record, simulations, scores_of(record, simulations, split), split, **{"title": "A tower"} | keywords
    )
    return path.read_text(encoding="utf-8")


class Page(HTMLParser):
    """A strict reader: every element is closed where it should be, and its attributes are kept."""

    VOID = ("meta", "path", "use", "line", "rect")

    def __init__(self, text):
        super().__init__()
        self.open, self.elements, self.words = [], [], []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())


@pytest.fixture(scope="module")
def full(tmp_path_factory):
    """The report of three models with everything there is to show."""
    record = tower()
    simulations = {
        "calibrated LaD": physics_of(record, 0.3),
        "hybrid": physics_of(record, -0.1),
        "LSTM": fluxes_of(record, 0.2),
    }
    rows = pd.DataFrame({"step": [0, 10, 20], "loss": [1.0, 0.5, 0.4], "validation": [np.nan, 0.7, 0.6]})
    path = tmp_path_factory.mktemp("run") / "report.html"
    return reported(path, record, simulations, notes=["Trained briefly."], history=dict.fromkeys(simulations, rows))


def test_it_holds_every_section_and_the_navigation_reaches_them(full):
    page = Page(full)
    assert tuple(section["id"] for section in page.all("section")) == SECTIONS
    assert tuple(link["href"] for link in page.all("a")) == tuple(f"#{name}" for name in SECTIONS)


def test_it_tells_the_site_the_notes_and_whose_data_it_shows(full):
    text = Page(full).text
    for words in ("XX-Tst", "mixed forest", "50.300° N, 6.000° E", "493 m", "FLUXNET2015", "LE 80 %, H 80 %"):
        assert words in text
    for words in ("Trained briefly.", "Longwave was modeled.", "Data of XX-Tst from FLUXNET2015", "CC-BY-4.0"):
        assert words in text


def test_it_shows_one_drawing_of_each_kind_with_words_for_those_who_cannot_see(full):
    described = [drawing["aria-label"] for drawing in Page(full).all("svg")]
    assert all(drawing["role"] == "img" for drawing in Page(full).all("svg")) and all(described)
    wanted = {
        "two weeks": 1,
        "whole record": 1,
        "Mean diurnal cycle of the": 2,
        "Density of": 6,
        "Bulk stomatal resistance": 1,
        "soil temperature, snow": 1,
        "Cumulative precipitation": 1,
        "Cumulative net radiation": 1,
        "Loss and validation": 3,
    }
    assert {words: sum(words in label for label in described) for words in wanted} == wanted
    assert len(described) == sum(wanted.values())


def test_it_needs_no_network_and_runs_no_script(full):
    page = Page(full)
    targets = [
        value for _, attributes in page.elements for name, value in attributes.items() if name in ("src", "href")
    ]
    assert targets and all(target.startswith("#") for target in targets)
    assert not re.search(r"https?:|@import|<script|<link|<img", full)
    assert set(re.findall(r"url\((.)", full)) <= {"#"}


def test_identifiers_are_unique(full):
    identifiers = [attributes["id"] for _, attributes in Page(full).elements if "id" in attributes]
    assert len(identifiers) == len(set(identifiers))


def test_every_reference_inside_a_drawing_leads_somewhere(full):
    there = {attributes["id"] for _, attributes in Page(full).elements if "id" in attributes}
    assert {*re.findall(r"url\(#([^)]+)\)", full), *re.findall(r'href="#([^"]+)"', full)} <= there


def test_colors_are_variables_of_both_themes(full):
    defined = set(re.findall(r"--([\w-]+):#", full))
    assert set(re.findall(r"var\(--([\w-]+)\)", full)) <= defined
    assert "prefers-color-scheme:dark" in full
    after_style = full.split("</style>", 1)[1]
    assert not re.search(r"(fill|stroke): #(?!000000)", after_style), "a color that no theme can change"


def test_the_residuals_are_printed(full):
    text = Page(full).text
    assert f"Largest residual of a step: 2.5e{MINUS}11 W m⁻²." in text
    assert f"Largest energy residual of a step [W m⁻²] 2.5e{MINUS}11 2.5e{MINUS}11" in text


def test_the_best_score_is_bold(full):
    tables = [part.split("</table>")[0] for part in full.split("<table>")[1:]]
    native = next(part for part in tables if "Latent heat flux LE · test · 60-minute steps" in part)
    rows = {
        re.sub(r"<.*?>", "", row.split("</th>")[0]): row
        for row in native.split("<tbody>")[1].split("</tr>")
        if "<td>" in row
    }
    assert list(rows) == ["calibrated LaD", "hybrid", "LSTM"]
    assert {name: row.count("<b>") for name, row in rows.items()} == {"calibrated LaD": 1, "hybrid": 6, "LSTM": 1}
    assert all("<td><b>1.000</b></td>" in row for row in rows.values()), "the correlation is a tie"


def test_scores_of_the_other_splits_are_folded_away(full):
    assert [text for text in ("validation", "train") if f"<summary>Scores on the {text} blocks</summary>" in full]
    assert (
        full.index("Latent heat flux LE · test") < full.index("<details>") < full.index("Latent heat flux LE · train")
    )


def test_a_network_alone_has_skill_but_no_states(tmp_path):
    record = tower(days=20)
    page = Page(reported(tmp_path / "report.html", record, {"LSTM": fluxes_of(record, 0.1)}))
    assert [section["id"] for section in page.all("section")] == ["skill", "series", "cycles", "scatter", "notes"]


@pytest.mark.parametrize(
    ("without", "gone"),
    [
        (("net_radiation", "soil_temperature"), ("Cumulative net radiation", "Soil temperature by depth")),
        (("parameter_minimum_stomatal_resistance", "water_residual"), ("Learned parameters", "Budgets")),
        (
            ("snow_water", "root_zone_water", "groundwater", "quickflow_water", "canopy_water", "soil_temperature"),
            ("States", "Budgets"),
        ),
    ],
    ids=["less", "no parameters", "no states"],
)
def test_what_is_missing_is_left_out(full, tmp_path, without, gone):
    record = tower(days=20)
    page = reported(tmp_path / "report.html", record, {"hybrid": physics_of(record, 0.1).drop_vars(without)})
    assert all(words in full and words not in page for words in gone)


def test_a_store_that_no_model_uses_has_no_panel(tmp_path):
    record = tower(days=20)
    dry, wet = physics_of(record, 0.1), physics_of(record, 0.2)
    pages = []
    for height in (0.0, 0.3):
        wet["canopy_water"] = wet.canopy_water * 0.0 + height
        simulations = {"dry": dry, "wet": wet}
        pages.append(reported(tmp_path / f"{height}.html", record, simulations))
    meaning = describe_variable(dry.canopy_water)[0]
    assert [page.count(meaning) for page in pages] == [0, 1]


def test_a_bare_record_is_enough(tmp_path):
    """No attributes, no test blocks, less than a fortnight, and a gap all through one flux."""
    record = tower(days=8).drop_vars("precipitation")
    record["sensible_heat_qc"][:] = 9
    record.attrs = {}
    simulations = {"mine": fluxes_of(record, 0.1), "yours": fluxes_of(record, 0.2)}
    split = np.full(record.sizes["time"], "train")
    scores = scores_of(record, simulations, split)
    path = write_report(
        tmp_path / "report.html",
        record,
        simulations,
        scores,
        split,
        title="Bare",
        training=["LaD: trained at XX-Abc 2001."],
    )
    assert "LaD: trained at XX-Abc 2001." in path.read_text()
    text = Page(path.read_text(encoding="utf-8")).text
    assert "no measurements" in text and "Measured steps of the whole record" in text


def test_a_record_that_is_filled_without_flags_is_not_called_measured(tmp_path):
    record = tower(days=60)
    light = np.clip(np.sin(2 * np.pi * (np.arange(record.sizes["time"]) % 24 - 6) / 24), 0, None)
    record["shortwave_down"] = ("time", 800 * light)
    record["sensible_heat_qc"][:] = 0
    simulations = {"mine": fluxes_of(record, 0.1)}
    text = reported(tmp_path / "report.html", record, simulations)
    assert "gap-filled values are among those compared" in text and "Unflagged steps of the test blocks" in text
    assert "easured steps" not in text and "only where measured" not in text
    record["sensible_heat_qc"][::5] = 1
    assert "Measured steps of the test blocks" in reported(tmp_path / "flagged.html", record, simulations)


def test_text_is_escaped(tmp_path):
    record = tower(days=20, site="<script>alert('site')</script>")
    record.attrs["assumptions"] = "a < b & c"
    name = 'mine "<b>$x_1$</b>"'
    history = {name: pd.DataFrame({"step": [0, 1], "loss": [1.0, 0.5], "validation": [0.1, 0.2]})}
    simulation = physics_of(record, 0.1)
    simulation["parameter_minimum_stomatal_resistance"].attrs["long_name"] = "<i>resistance"
    page = reported(
        tmp_path / "report.html",
        record,
        {name: simulation},
        title="</title><script>alert('title')</script>",
        notes=["<img src='https://example.org/x.png'>"],
        history=history,
    )
    assert "<script" not in page and "<img" not in page and "<b>$x_1$" not in page and "<i>resistance" not in page
    assert "a &lt; b &amp; c" in page
    assert f"Density of modeled against observed Latent heat flux LE, {name}." in [
        drawing["aria-label"] for drawing in Page(page).all("svg")
    ]


def test_a_long_record_is_drawn_in_weeks_and_stays_small(tmp_path):
    record = tower(days=1210).isel(time=slice(5, None))
    page = reported(tmp_path / "report.html", record, {"hybrid": physics_of(record, 0.1)})
    assert "The whole record as weekly means" in page
    assert len(page) < 2e6


def test_a_report_that_cannot_be_written_leaves_the_old_one(tmp_path):
    path = tmp_path / "file" / "report.html"
    (tmp_path / "file").write_text("in the way")
    record = tower(days=20)
    with pytest.raises(RunError, match=r"report\.html: cannot be written"):
        reported(path, record, {"LSTM": fluxes_of(record, 0.1)})


def test_what_does_not_fit_is_refused(tmp_path):
    record = tower(days=20)
    simulations, split = {"LSTM": fluxes_of(record, 0.1)}, labels(record)
    scores = scores_of(record, simulations, split)
    with pytest.raises(DataError, match="at least one simulation"):
        write_report(tmp_path / "a.html", record, {}, scores, split, title="")
    with pytest.raises(DataError, match=r"LSTM: .*time axes"):
        write_report(
            tmp_path / "a.html", record, {"LSTM": simulations["LSTM"][{"time": slice(9)}]}, scores, split, title=""
        )
    with pytest.raises(DataError, match="LSTM: the simulation has no sensible_heat"):
        write_report(
            tmp_path / "a.html", record, {"LSTM": simulations["LSTM"][["latent_heat"]]}, scores, split, title=""
        )
    with pytest.raises(DataError, match="scores of the report: the columns are"):
        write_report(tmp_path / "a.html", record, simulations, scores[["value"]], split, title="")
    assert not any(tmp_path.iterdir())
