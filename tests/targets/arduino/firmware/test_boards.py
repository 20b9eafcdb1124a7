"""The sketch for real processors: an 8-bit AVR by Arduino's own builder, and what it takes of a Cortex-M4F."""

from __future__ import annotations

import dataclasses
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from reference_models import untrained
from toolchains import need

from px4_tinyml.bundle import ModelBundle
from px4_tinyml.emit.toolchain import run_tool
from px4_tinyml.emit.write import write_tree
from px4_tinyml.signal.spec import PRESETS, DecisionSpec
from px4_tinyml.targets.arduino.build import DOUBLE
from px4_tinyml.targets.arduino.generate import SKETCH, arduino_files
from px4_tinyml.targets.base import footprint
from px4_tinyml.targets.cortex_m.build import COMPILER, CPUS

HERE = Path(__file__).resolve().parent
HARDWARE = Path("/usr/share/arduino/hardware")
AVR_CORE = HARDWARE / "arduino" / "avr"
AVR_FLAGS = "-std=gnu++14 -DDECIMAL_DIG=__DECIMAL_DIG__"
"""C++14 instead of the core's C++11; and what Debian's core asks of a <float.h> that its compiler has not."""
NANO_FLASH, NANO_RAM = 983_040, 262_144


@pytest.fixture(scope="module")
def small() -> ModelBundle:
    """A model an ATmega2560 (8 KB of RAM) has room for: 32 slots of four channels, one dense layer."""
    sys.path.insert(0, str(HERE.parents[2] / "compiler"))
    from models import Builder

    spec = dataclasses.replace(
        PRESETS["default"], window=32, hop=8, max_repeated_slots=6, channels=("ax", "ay", "az", "alt"),
        offset=(0.0, 0.0, 0.0, 0.0), inv_scale=(0.3, 0.3, 0.2, 0.5), decision=DecisionSpec(enter=0.3, leave=0.28),
    )  # fmt: skip
    rng = np.random.default_rng(4)
    b = Builder()
    source = b.tensor((1, 32, 4), 2 / 127, 0)
    flat = b.tensor((1, 128), 2 / 127, 0)
    b.operator("RESHAPE", [source, b.constant(np.array([1, 128], np.int32))], flat, "ReshapeOptions", newShape=[1, 128])
    logits = b.tensor((1, 4), 0.05, 7)
    scales = [0.004, 0.006, 0.005, 0.003]
    weights = [b.constant(rng.integers(-127, 128, (4, 128)).astype(np.int8), scales)]
    weights.append(b.constant(rng.integers(-3000, 3000, 4).astype(np.int32), [2 / 127 * s for s in scales]))
    b.operator("FULLY_CONNECTED", [flat, *weights], logits, "FullyConnectedOptions")
    output = b.tensor((1, 4), 1 / 256, -128)
    model = b.finish(source, b.operator("SOFTMAX", [logits], output, "SoftmaxOptions", beta=1.0))
    return ModelBundle(spec=spec, model=model, float_model=b"none", manifest=untrained(spec.labels), golden={})


class TestAvr:
    def sketch(self, bundle: ModelBundle, folder: Path) -> Path:
        write_tree(folder, arduino_files(bundle, "generic"))
        return folder / SKETCH

    def test_arduino_builds_it_for_a_mega_2560(self, small: ModelBundle, tmp_path: Path) -> None:
        need("arduino-builder", "avr-g++", "arduino-ctags")
        folder = self.sketch(small, tmp_path)
        build = tmp_path / "build"
        build.mkdir()
        command = [
            "arduino-builder", "-hardware", str(HARDWARE), "-hardware", "/usr/share/arduino-builder", "-tools",
            "/usr/bin", "-fqbn", "arduino:avr:mega:cpu=atmega2560", "-build-path", str(build),
            "-prefs=compiler.path=/usr/bin/", "-prefs=runtime.tools.ctags.path=/usr/bin",
            f"-prefs=compiler.cpp.extra_flags={AVR_FLAGS}", "-warnings", "all", str(folder / f"{SKETCH}.ino"),
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
        assert done.returncode == 0, done.stderr[-3000:]
        assert not [line for line in done.stderr.splitlines() if "warning" in line and "/sketch/" in line]
        size = footprint(build / f"{SKETCH}.ino.elf", "avr-size")
        print(f"ATmega2560: {size}")
        assert size.flash_bytes < 128 * 1024
        # The rest is the stack's, which takes 1.5 KB where it is deepest (signing; measured under simavr).
        assert size.ram_bytes < 8192 - 1600

    def test_it_decides_like_a_pc(self, small: ModelBundle, tmp_path: Path, cxx: list[str]) -> None:
        """Where int has 16 bits and float is made of integers: the same decisions, bit for bit."""
        need("avr-g++", "simavr")
        src = self.sketch(small, tmp_path) / "src"
        sources = [str(HERE / "avr_classify.cpp"), str(src / "model" / "CompiledModel.cpp")]
        flags = ["-std=gnu++14", "-fno-exceptions", "-fno-rtti", "-I", str(src), *sources, "-o"]
        run_tool([*cxx, "-O2", *flags, str(tmp_path / "pc")])
        here = run_tool([str(tmp_path / "pc")]).split("\n")
        avr = ["avr-g++", "-Os", "-mmcu=atmega2560", "-DF_CPU=16000000UL", "-Wall", "-Wextra", "-Werror"]
        subprocess.run([*avr, *flags, str(tmp_path / "avr.elf")], check=True)
        done = subprocess.run(
            ["simavr", "-m", "atmega2560", "-f", "16000000", str(tmp_path / "avr.elf")],
            capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
        plain = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout + done.stderr)
        there = re.findall(r"D [0-9a-f ]+", plain)
        assert len(there) == 60
        assert [line.strip() for line in there] == [line.strip() for line in here if line.startswith("D ")]


def test_flash_and_ram_on_a_cortex_m4f(tmp_path: Path, sketch: Path) -> None:
    """Everything but the board's core: node, links, core, engine and model, as the linker keeps them."""
    need(COMPILER)
    src = sketch / "src"
    sources = [str(path) for folder in ("node", "model") for path in sorted((src / folder).glob("*.cpp"))]
    image = tmp_path / "node.elf"
    command = [
        COMPILER, *CPUS["cortex-m4"].flags, "-mthumb", "-mfloat-abi=hard", "-std=gnu++14", "-Os", "-fno-exceptions",
        "-fno-rtti", "-fno-threadsafe-statics", "-ffunction-sections", "-fdata-sections", "--specs=nano.specs",
        "--specs=nosys.specs", "-Wl,--gc-sections", "-I", str(src), str(HERE / "m4_footprint.cpp"), *sources,
        "-o", str(image),
    ]  # fmt: skip
    run_tool(command)
    size = footprint(image, "arm-none-eabi-size")
    print(f"Cortex-M4F: {size}")
    assert size.flash_bytes < 0.05 * NANO_FLASH
    assert size.ram_bytes < 0.1 * NANO_RAM


def test_the_clock_is_monotonic_when_micros_wraps(tmp_path: Path, sketch: Path, cxx: list[str]) -> None:
    """micros() by a test double: 71 minutes, a step back of 8 us such as some cores make, four hours more."""
    program = tmp_path / "clock"
    paths = ("-isystem", str(DOUBLE), "-I", str(sketch / "src"))
    flags = ("-std=c++14", "-Wall", "-Wextra", "-Werror")
    subprocess.run([*cxx, *flags, *paths, str(HERE / "board_clock.cpp"), "-o", str(program)], check=True)
    true_us = [5, 1000, 2**31, 2**32 - 1, 2**32 + 3, 2**32 + 1000, 2**32 + 992, 2**32 + 1001, 3 * 2**31]
    true_us += [2**33 + 60_000_000 * minute for minute in range(0, 240, 70)]
    lines = "".join(f"{time % 2**32}\n" for time in true_us)
    done = subprocess.run([str(program)], input=lines, capture_output=True, text=True, check=True, timeout=20)
    assert [int(line) for line in done.stdout.split()] == np.maximum.accumulate(true_us).tolist()
