"""The model card: made of files, kept by a bundle, written into a page; and the recipe that makes it."""

from __future__ import annotations

import json
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from px4_tinyml.bundle import ModelBundle
from px4_tinyml.bundle.manifest import TrainedFlight
from px4_tinyml.bundle.model_card import CardShare, ModelCard
from px4_tinyml.dataset.split import by_rank
from px4_tinyml.emit.shipped import PRETRAINED, PRETRAINED_50HZ, PRETRAINED_BANDS, pretrained_bundle
from px4_tinyml.errors import ConversionError, DatasetError, ParityError, SpecError
from px4_tinyml.quality.air_figures import AirFigures, Onset, Share, VehicleAir
from px4_tinyml.quality.judge import RealAir, Tables
from px4_tinyml.quality.shipped_card import BEGIN, END, make_card, page_text, read_backgrounds, read_real_air
from px4_tinyml.quality.tables import between, write_page
from px4_tinyml.signal.responses import load_responses

REPOSITORY = Path(__file__).resolve().parents[2]
BENCHMARKS = REPOSITORY / "benchmarks"
PAGE = REPOSITORY / "docs" / "model_card.md"
BACKGROUNDS = """file,licence,source,commit,vehicle
ulg/hover.ulg,MIT (Cargo.toml; no LICENSE file),some/logs,0123456789abcdef,"quad, 4001 | x"
air/calm.csv,BSD-3,other/logs,fedcba9876543210,small quad
"""


def vehicle(name: str, file: str, windows: int = 20) -> VehicleAir:
    """After the filter: 1 of 10 calm ones called, 8 of 10 turbulent ones found, 3 of 20 uncertain."""

    def figures(called: int) -> AirFigures:
        uncertain = {"calm": {"total": Share(1, 10)}, "all": {"total": Share(3, 20), "manoeuvring": Share(2, 20)}}
        shares = Share(called, 10), Share(8, 10), Share(0, 0)
        return AirFigures(*shares, {}, uncertain, None, 0, Onset(None, None, Share(0, 1)))

    counts = {"calm": windows // 2, "turbulent": windows // 2, "manoeuvre": 0}
    return VehicleAir(name, [file], 1, counts, 0, counts, {"alone": figures(5), "filtered": figures(1)})


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """backgrounds.csv, and real_air.json of the bundle `pretrained`."""
    vehicles = [vehicle("hovering", "ulg/hover.ulg"), vehicle("new", "fan.csv"), vehicle("no window", "x.csv", 0)]
    tables = [Tables(25.0, [], [], [], []), Tables(None, vehicles, [], [], [])]
    sha256 = ModelBundle.load(pretrained_bundle()).sha256
    result = msgspec.to_builtins(RealAir("", sha256, "numpy", tables, {}))
    (tmp_path / "real_air.json").write_text(json.dumps(result, indent=1, ensure_ascii=False, allow_nan=False))
    (tmp_path / "backgrounds.csv").write_text(BACKGROUNDS)
    return tmp_path


@pytest.fixture
def carded(files: Path) -> ModelBundle:
    bundle = ModelBundle.load(pretrained_bundle())
    vehicles = read_real_air(files / "real_air.json", bundle.sha256)
    return bundle.with_manifest(card=make_card(read_backgrounds(files / "backgrounds.csv"), vehicles))


def test_a_card_is_kept_by_its_bundle(carded: ModelBundle, tmp_path: Path) -> None:
    carded.save(tmp_path / "bundle")
    card = ModelBundle.load(tmp_path / "bundle").manifest.card
    assert card is not None and card == carded.manifest.card
    assert [recording.file for recording in card.stated_elsewhere] == ["ulg/hover.ulg"]
    known, unknown = card.real_air
    assert (known.vehicle, known.trained_on) == ("hovering", True)
    assert (unknown.vehicle, unknown.trained_on) == ("new", False)
    assert unknown.calm_called == CardShare(1, 10) and unknown.turbulent_found == CardShare(8, 10)
    assert unknown.manoeuvre_called == CardShare(0, 0) and unknown.uncertain == CardShare(3, 20)


@pytest.mark.parametrize("name", [PRETRAINED, PRETRAINED_50HZ])
def test_a_bundle_without_a_card_is_as_before(name: str, tmp_path: Path) -> None:
    bundle = ModelBundle.load(pretrained_bundle(name))
    assert bundle.manifest.card is None
    bundle.save(tmp_path / "again")
    assert (tmp_path / "again/manifest.json").read_bytes() == (pretrained_bundle(name) / "manifest.json").read_bytes()
    with pytest.raises(SpecError, match="has no model card"):
        page_text(bundle)


def test_a_damaged_card_is_one_clear_error(carded: ModelBundle, tmp_path: Path) -> None:
    carded.save(tmp_path / "bundle")
    path = tmp_path / "bundle/manifest.json"
    data = json.loads(path.read_text())
    data["card"]["real_air"][0]["uncertain"]["of"] = -1
    path.write_text(json.dumps(data))
    with pytest.raises(ConversionError, match=r"manifest\.json: card\.real_air\.?\[0\]\.uncertain\.of"):
        ModelBundle.load(tmp_path / "bundle")


def test_the_page_has_the_whole_card(carded: ModelBundle, tmp_path: Path) -> None:
    text = page_text(carded)
    assert "some/logs @ 0123456789" in text and r"quad, 4001 \| x" in text and "`ulg/hover.ulg`" in text
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("| new")]
    assert cells == [["new", "no", "0.10 (1/10)", "0.80 (8/10)", "–", "0.15 (3/20)"]]
    card = carded.manifest.card
    assert card is not None and all(f"- {s}" in text for s in (*card.intended_use, *card.not_for, *card.reproduction))
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    for _ in range(2):
        write_page(page, text, BEGIN, END)
        assert page.read_text() == f"before\n{BEGIN}\n\n{text}\n\n{END}\nafter\n"


def test_figures_of_another_model_and_damaged_files_are_rejected(files: Path) -> None:
    with pytest.raises(ParityError, match="judge this bundle again"):
        read_real_air(files / "real_air.json", "0" * 64)
    (files / "real_air.json").write_text("{}")
    with pytest.raises(DatasetError, match=r"real_air\.json: .*spec_hash.*real_air\.py --json"):
        read_real_air(files / "real_air.json", "0" * 64)
    with pytest.raises(DatasetError, match="cannot be read"):
        read_real_air(files / "none.json", "0" * 64)
    for text in ("", "file,licence\na,MIT\n", BACKGROUNDS + "short,MIT\n"):
        (files / "backgrounds.csv").write_text(text)
        with pytest.raises(DatasetError, match="file, licence, source, commit, vehicle expected"):
            read_backgrounds(files / "backgrounds.csv")


def test_a_second_run_keeps_flight_count_and_card(carded: ModelBundle) -> None:
    slim = runpy.run_path(str(BENCHMARKS / "pretrained.py"))["slim"]
    training = carded.manifest.training
    flights = tuple(TrainedFlight(f"{i}.ulg", "quad", "train", {}) for i in range(3))
    dataset = msgspec.structs.replace(training.dataset, flights=flights, flight_count=None)
    once = slim(carded.with_manifest(training=msgspec.structs.replace(training, dataset=dataset)))
    assert once.manifest.training.dataset.flight_count == 3 and once.manifest.training.dataset.flights == ()
    assert slim(once).manifest == once.manifest and once.manifest.card == carded.manifest.card


def make(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name not in ("DATA", "MAKEFLAGS")}
    command = ["make", "--no-print-directory", *arguments]
    return subprocess.run(
        command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=60, check=False
    )


def test_make_pretrained_without_data_prints_what_is_missing() -> None:
    done = make("pretrained")
    assert done.returncode == 2 and done.stdout == ""
    for words in ("DATA is missing", "manifest.csv", "truth.csv", "docs/model_card.md", "pretrained-samples"):
        assert words in done.stderr
    columns = runpy.run_path(str(BENCHMARKS / "pretrained_backgrounds.py"))["COLUMNS"]
    assert ",".join(columns) in done.stderr and all(f"`{column}`" in PAGE.read_text() for column in columns)


def test_airframes_held_out_are_in_no_flight_and_no_response_of_the_training() -> None:
    parts = by_rank(load_responses().airframe)
    held_out = {name for name, part in parts.items() if part == "test"}
    recipe = make("--dry-run", "pretrained", "DATA=x").stdout
    removed = set(re.findall(r"build/quality/calm/\*_(\w+?)_\*\.ulg", recipe))
    assert removed == held_out == set(re.findall(r"build/quality/brisk/\*_(\w+?)_\*\.ulg", recipe))
    assert f"for name in {' '.join(sorted(held_out))};" in make("--dry-run", "quality-held-out").stdout


@pytest.mark.parametrize("manifest", [None, "file,licence\na.ulg,MIT\n"])
def test_a_folder_without_a_manifest_is_one_clear_error(manifest: str | None, tmp_path: Path) -> None:
    if manifest:
        (tmp_path / "manifest.csv").write_text(manifest)
    command = [sys.executable, str(BENCHMARKS / "pretrained_backgrounds.py"), str(tmp_path), str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1 and not (tmp_path / "out").exists()
    (line,) = done.stderr.splitlines()
    assert "manifest.csv" in line and "source_repo, commit, vehicle" in line and "docs/model_card.md" in line


def shipped() -> ModelBundle:
    return ModelBundle.load(pretrained_bundle(PRETRAINED_BANDS))


def test_the_page_and_the_bundle_that_ships_agree() -> None:
    bundle = shipped()
    _, written, _ = between(PAGE, BEGIN, END)
    assert written.strip() == page_text(bundle), "run `python benchmarks/model_card.py`"


def test_the_bundle_that_ships_is_what_its_card_describes() -> None:
    bundle = shipped()
    card: Any = bundle.manifest.card
    assert isinstance(card, ModelCard) and bundle.spec.input == "bands" and bundle.spec.output == "edr"
    licences = runpy.run_path(str(BENCHMARKS / "pretrained_backgrounds.py"))["LICENCES"]
    assert card.backgrounds and all(recording.licence.startswith(licences) for recording in card.backgrounds)
    assert card.real_air and bundle.manifest.training.dataset.flight_count
