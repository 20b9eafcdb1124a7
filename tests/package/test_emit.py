"""Emitters: each takes one kind of value, and no text gets into code through a template that did not pass one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jinja2
import numpy as np
import pytest

from px4_tinyml.emit import build_text, cpp, write
from px4_tinyml.errors import ConversionError

CODE = '1}}; struct X { X() { system("x"); } } x; int y[] = {{1'


@pytest.mark.parametrize(
    ("emitter", "pairs"),
    [
        (cpp.integer, [(-128, "-128"), (np.uint64(2**64 - 1), "18446744073709551615")]),
        (cpp.float_literal, [(2.0, "2.0f"), (3, "3.0f"), (np.float32(0.1), "0.100000001f")]),
        (cpp.float_literal, [(1e-5, "9.99999975e-06f"), (-0.0, "-0.0f")]),
        (cpp.literal, [(True, "true"), (np.bool_(False), "false"), (0.5, "0.5f"), (cpp.Emitted("x + 1"), "x + 1")]),
        (cpp.identifier, [("AddConv2D", "AddConv2D")]),
        (cpp.quoted, [("level", '"level"'), ('a"b\\c\n??/', '"a\\042b\\134c\\012\\077\\077/"'), ("é", '"\\303\\251"')]),
        (cpp.hex_digits, [("00ff", "00ff")]),
        (cpp.comment, [("any board on I²C", "any board on I²C")]),
        (cpp.numbers, [(np.array([1, -2], np.int8), "1, -2")]),
        (cpp.listed, [([1, 0.5, cpp.braced([2, 3])], "1, 0.5f, {2, 3}")]),
        (build_text.word, [("-mcpu=cortex-m4", "-mcpu=cortex-m4")]),
        (build_text.words, [(["a", "-Wl,--x"], "a -Wl,--x")]),
        (build_text.versioned, [("Arduino_BMI270_BMM150 (1.2.3)", "Arduino_BMI270_BMM150 (1.2.3)")]),
        (build_text.cmake_variable, [("DIR", "${DIR}")]),
    ],
)
def test_text_of_an_emitter(emitter: Callable[[Any], cpp.Emitted], pairs: list[tuple[Any, str]]) -> None:
    for value, expected in pairs:
        text = emitter(value)
        assert text == expected and isinstance(text, cpp.Emitted)


@pytest.mark.parametrize(
    ("emitter", "values"),
    [
        (cpp.literal, [CODE, np.str_(CODE), None, b"1"]),
        (cpp.integer, [CODE, np.str_(CODE), "1", True, 1.0]),
        (cpp.float_literal, [CODE, np.str_(CODE), float("nan"), 1e39, 10**400, False]),
        (cpp.identifier, [CODE, None, "a b", "a\n", "é", ""]),
        (cpp.quoted, [None, "\ud800"]),
        (cpp.comment, [None, "a\nb", "a */ b", "a \\", "a ??/"]),
        (cpp.hex_digits, [CODE, "0g"]),
        (cpp.numbers, [np.array([CODE])]),
        (cpp.listed, [[1, "2"]]),
        (build_text.word, [np.str_(CODE), None, "a b", "$(shell x)", "a;b"]),
        (build_text.versioned, ["a: b"]),
        (build_text.cmake_variable, ["A}B"]),
    ],
)
def test_an_emitter_rejects_other_values(emitter: Callable[[Any], cpp.Emitted], values: list[Any]) -> None:
    for value in values:
        with pytest.raises(ConversionError, match="cannot be written into code"):
            emitter(value)


def test_rows_are_cut_where_a_line_is_full() -> None:
    assert cpp.rows(range(5), 2) == ["0, 1", "2, 3", "4"]
    with pytest.raises(ConversionError):
        cpp.rows([1, "2"], 2)


def test_a_float_reads_back_as_the_same_bits() -> None:
    words = np.random.default_rng(0).integers(0, 2**32, 4000, np.uint32)
    for value in words.view(np.float32):
        if np.isfinite(value):
            assert np.float32(cpp.float_literal(value).removesuffix("f")).tobytes() == value.tobytes()


@pytest.fixture
def rendered(monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Render a template of this text, with the rules for its name."""

    make = write._environment.__wrapped__

    def render(text: str, value: object, name: str = "x.cpp.j2") -> str:
        def environment(finalize: Callable[[object], object]) -> jinja2.Environment:
            made = make(finalize)
            made.loader = jinja2.DictLoader({name: text})
            return made

        monkeypatch.setattr(write, "_environment", environment)
        return write.render(name, value=value)

    return render


@pytest.mark.parametrize("text", ["{{ value }}", "{{- value -}}", "{{ value ~ '' }}", "{{ [value] | join(',') }}"])
def test_a_template_of_code_takes_no_plain_text(rendered: Callable[..., str], text: str) -> None:
    for name in ("x.cpp.j2", "CMakeLists.txt.j2", "x.msg.j2"):
        with pytest.raises(ConversionError, match="cannot be written into code"):
            rendered(text, CODE, name)


def test_a_template_of_code_takes_numbers_and_filtered_text(rendered: Callable[..., str]) -> None:
    assert rendered("int x = {{ value }};", np.int8(-3)) == "int x = -3;"
    assert rendered("bool x = {{ value > 2 }};", 3) == "bool x = true;"
    assert rendered("puts({{ value | quoted }});", "a\n") == 'puts("a\\012");'
    with pytest.raises(ConversionError):
        rendered("{{ value | identifier }}", CODE)


def test_a_text_for_people_takes_one_line(rendered: Callable[..., str]) -> None:
    assert rendered("{{ value }} wide", CODE, "README.md.j2") == f"{CODE} wide"
    with pytest.raises(ConversionError, match="one line expected"):
        rendered("{{ value }}", "a\n# b", "README.md.j2")
