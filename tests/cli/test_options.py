"""Options of every command: ranges, old spellings, --quiet, --log-file, completion."""

from __future__ import annotations

import argparse
import logging
import subprocess
from pathlib import Path

import pytest
from cli_workshop import Workshop, start

from px4_tinyml.cli import options
from px4_tinyml.cli.main import COMMANDS, build_parser


@pytest.mark.parametrize(
    ("parse", "good", "bad"),
    [
        (options.fraction, ("0", "1", "0.5"), ("-0.1", "1.01", "nan", "inf", "x", "")),
        (options.hertz, ("1", "400"), ("0", "1001", "nan")),
        (options.positive, ("0.001", "1e6"), ("0", "-1", "nan", "inf")),
        (options.system_id, ("1", "255"), ("0", "256", "1.5", "nan")),
        (options.seed, ("0", "4294967295"), ("-1", "4294967296")),
        (options.count, ("1",), ("0", "two")),
        (options.megabytes, ("0.1",), ("0", "nan")),
    ],
)
def test_ranges(parse, good: tuple[str, ...], bad: tuple[str, ...]) -> None:
    assert [parse(text) for text in good] == [float(text) for text in good]
    for text in bad:
        with pytest.raises((argparse.ArgumentTypeError, ValueError)):
            parse(text)


def test_a_value_out_of_range_is_named_with_its_option(run) -> None:
    result = run("live", "pretrained", "udpin::0", "--rate", "nan")
    assert result.code == 2 and result.err.endswith("argument --rate: nan: 1 to 1000 expected\n")
    result = run("train", "x", "--out", "y", "--epochs", "two")
    assert result.code == 2 and result.err.endswith("argument --epochs: invalid whole number value: 'two'\n")


@pytest.mark.parametrize(
    ("old", "new", "lines"),
    [
        (
            "live b u --keep uncertain --keep-dir D",
            "live b u --keep-uncertain D",
            ["--keep is deprecated: use --keep-uncertain DIR", "--keep-dir is deprecated: use --keep-uncertain DIR"],
        ),
        ("serve u --system-id 7", "serve u --system 7", ["--system-id is deprecated: use --system"]),
        ("live b u --engine host", "live b u --engine compiled", []),
        ("generate cortex-m b --out o", "generate cortex-m4 b --out o", []),
        ("replay b l --targets python,node", "replay b l --targets numpy,arduino", []),
    ],
)
def test_old_spellings_mean_the_new_ones(old: str, new: str, lines: list[str]) -> None:
    parser = build_parser(*COMMANDS)
    found, expected = (vars(parser.parse_args(text.split())) for text in (old, new))
    assert found.pop("renamed", []) == lines
    found.pop("keep", None)
    assert found == expected


def test_fly_serve_is_serve_with_a_warning(
    monkeypatch: pytest.MonkeyPatch, run, caplog: pytest.LogCaptureFixture
) -> None:
    from px4_tinyml_sitl.vehicle import serve_links

    calls = []
    monkeypatch.setattr(serve_links, "serve", lambda urls, **keywords: calls.append((urls, keywords)))
    assert run("serve", "udpin::1", "tcpin::2", "--speed", "5", "--system", "7").code == 0
    with caplog.at_level(logging.WARNING):
        assert run("fly", "--serve", "udpin::1", "--speed", "5", "--serve=tcpin::2", "--system-id", "7").code == 0
    assert calls[0] == calls[1] and calls[0][0] == ["udpin::1", "tcpin::2"]
    assert [record.message for record in caplog.records] == [
        "fly --serve is deprecated: use serve", "--system-id is deprecated: use --system",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "arguments",
    [
        ("fly", "--serve", "udpin::1", "--flights", "3"), ("fly", "--out", "x", "--speed", "5"),
        ("serve", "udpin::1", "--jobs", "2"), ("serve", "udpin::1", "--px4", "build"), ("fly",),
        ("fly", "--out", "x", "--responses", "y"), ("fly", "--responses", "y", "--mission", "hover"),
    ],
)  # fmt: skip
def test_options_that_do_not_apply_are_errors(run, arguments: tuple[str, ...]) -> None:
    assert run(*arguments).code == 2


def test_quiet_logs_errors_only_and_the_log_file_everything(workshop: Workshop, tmp_path: Path) -> None:
    (tmp_path / "bad.ulg").write_bytes(b"no log")
    log = tmp_path / "run.log"
    log.write_text("before\n")
    options = ("--out", tmp_path / "d.csv", "--quiet", "--log-file", log)
    process = start("classify", workshop.bundle, workshop.logs / "vert.csv", tmp_path / "bad.ulg", *options)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1 and len(err.splitlines()) == 1 and err.startswith("ERROR: ") and "bad.ulg" in err
    first, *lines = log.read_text().splitlines()
    assert first == "before" and sum(" INFO: " in line for line in lines) > 20
    assert sum(" ERROR: " in line and "bad.ulg" in line for line in lines) == 1


def test_the_error_that_ends_a_command_is_in_the_log_file(tmp_path: Path, fails) -> None:
    log = tmp_path / "run.log"
    line = fails(1, "evaluate", tmp_path, tmp_path, "--log-file", log)
    assert line.partition(": ")[2] in log.read_text()
    assert "cannot be written" in fails(2, "evaluate", tmp_path, tmp_path, "--log-file", tmp_path)


def test_common_options_reach_inner_commands_from_either_place() -> None:
    parser = build_parser("logs")
    for text in ("logs --quiet list u", "logs list u --quiet"):
        args = parser.parse_args(text.split())
        assert args.quiet and not args.debug and args.log_file is None


def test_bash_completes_commands_and_options(run, tmp_path: Path) -> None:
    script = tmp_path / "completion.bash"
    script.write_text(run("completion", "bash").out)
    code = (
        f'source {script}; complete_at() {{ COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); '
        "${0:+}$(complete -p px4-tinyml | sed 's/.*-F \\([^ ]*\\) .*/\\1/'); echo \"${COMPREPLY[@]}\"; }; "
        "complete_at px4-tinyml re; complete_at px4-tinyml live --keep-u"
    )
    done = subprocess.run(["bash", "-c", code], capture_output=True, text=True, timeout=30)
    assert done.stdout.splitlines() == ["record replay", "--keep-uncertain"], done.stderr
    assert "#compdef px4-tinyml" in run("completion", "zsh").out
