"""The page in a browser: nothing sticks out of a phone's screen, and the right charts are shown."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from toolchains import missing

from px4_tinyml.bundle import ModelBundle
from px4_tinyml.dataset.store import Dataset
from px4_tinyml.report import write_report

from .conftest import model_card, replayed

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
PROBE = """<script>
addEventListener("load", () => {
  const shown = [...document.querySelectorAll("svg.chart")].filter(e => e.getBoundingClientRect().width > 0);
  const small = [...document.querySelectorAll("svg.chart text")]
    .filter(e => e.getBoundingClientRect().width > 0)
    .map(e => e.getScreenCTM().d * parseFloat(getComputedStyle(e).fontSize));
  document.title = JSON.stringify({
    viewport: innerWidth, page: document.documentElement.scrollWidth,
    charts: [...new Set(shown.map(e => e.classList[1]))], text: Math.min(...small),
    wide: [...document.querySelectorAll("body *")].filter(e => !e.closest(".scroll, pre, svg")
      && e.getBoundingClientRect().right > innerWidth + 0.5).map(e => e.tagName + "." + e.className),
  });
});
</script>"""


@pytest.mark.parametrize(
    ("width", "charts"), [(1280, ["laptop"]), (800, ["laptop"]), (500, ["phone"]), (390, ["phone"])]
)
def test_the_page_fits_the_screen(
    width: int, charts: list[str], bundle: ModelBundle, dataset: Dataset, tmp_path: Path
) -> None:
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        missing(f"no browser to lay the page out: none of {', '.join(BROWSERS)} is installed")
    carded = bundle.with_manifest(card=model_card())
    write_report(tmp_path / "report.html", carded, dataset, replayed(bundle, 7, name="x" * 200))
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    probed = re.sub(r"<meta http-equiv=[^>]*>", "", html).replace("<details>", "<details open>") + PROBE
    (tmp_path / "probe.html").write_text(probed, encoding="utf-8")
    # A frame has exactly the given width; a browser window has a minimum.
    (tmp_path / "frame.html").write_text(
        f'<body style="margin:0"><iframe src="probe.html" style="width:{width}px;height:900px;border:0"></iframe>'
        "<script>setTimeout(() => document.title = frames[0].document.title, 1500)</script>",
        encoding="utf-8",
    )
    done = subprocess.run(
        [
            browser, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
            "--allow-file-access-from-files", f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=3000",
            "--window-size=1400,1000", "--dump-dom", (tmp_path / "frame.html").as_uri(),
        ],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    found = re.search(r"<title>(.*?)</title>", done.stdout)
    assert found, done.stderr
    layout = json.loads(found[1].replace("&amp;", "&").replace("&quot;", '"'))
    assert layout["viewport"] == width
    assert layout["page"] <= width and layout["wide"] == []
    assert layout["charts"] == charts
    assert layout["text"] >= 9.0
