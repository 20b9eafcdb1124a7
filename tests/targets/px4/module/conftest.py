"""Bundles, the trees generated of them, and small C++ programs compiled against a tree's module."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from reference_models import hostile_feed, reference_bundle
from toolchains import need

from px4_tinyml.bundle import ModelBundle
from px4_tinyml.emit.shipped import pretrained_bundle
from px4_tinyml.emit.write import MODULE
from px4_tinyml.targets.px4.generate import generate_px4

HERE = Path(__file__).resolve().parent
FLAGS = (
    "-std=c++14", "-O1", "-Wall", "-Wextra", "-Wshadow", "-Wcast-align", "-Wfloat-equal", "-Wdouble-promotion",
    "-Wfloat-conversion", "-Werror", "-fno-exceptions", "-fno-rtti",
)  # fmt: skip
SANITIZE = ("-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
TFLM_ARENA_BYTES = 6000


@pytest.fixture(scope="session")
def bundles() -> dict[str, ModelBundle]:
    """By name: with turbulence and barometer, without the barometer, and without either."""
    return {
        "pretrained": ModelBundle.load(pretrained_bundle()),
        "conv": reference_bundle("conv", hostile_feed(1, 20.0), TFLM_ARENA_BYTES),
        "dense": reference_bundle("dense", hostile_feed(1, 20.0), TFLM_ARENA_BYTES),
    }


@pytest.fixture(params=("pretrained", "conv", "dense"))
def bundle(request: pytest.FixtureRequest, bundles: dict[str, ModelBundle]) -> ModelBundle:
    return bundles[request.param]


@pytest.fixture(scope="session")
def trees(bundles: dict[str, ModelBundle], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Generated of the bundles."""
    folder = tmp_path_factory.mktemp("trees")
    for name, bundle in bundles.items():
        generate_px4(bundle, folder / name)
    return {name: folder / name for name in bundles}


@pytest.fixture
def tree(request: pytest.FixtureRequest, bundle: ModelBundle, trees: dict[str, Path]) -> Path:
    """The one of the bundle."""
    (name,) = (name for name in trees if bundle is request.getfixturevalue("bundles")[name])
    return trees[name]


class Compiler:
    """Compiles against the module of a tree, with its warnings as errors; what was compiled once is kept."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._made: dict[tuple[object, ...], Path] = {}

    def __call__(
        self, tree: Path, source: str, compiler: str = "g++", model: bool = True, sanitized: bool = True
    ) -> Path:
        """Program of a source beside this file. model: with the sources of the tree's model.

        sanitized: else it is compiled as fast as can be.
        """
        need(compiler)
        folder = tree / MODULE / "model"
        sources = [HERE / source, *(sorted(folder.glob("[CG]*.cpp")) if model else [])]
        # Clang's sanitizers are a package of their own.
        extra = () if "clang" in compiler else SANITIZE if sanitized else ("-O0",)
        objects = [self._build(tree, compiler, (*extra, "-c"), [path]) for path in sources]
        return self._build(tree, compiler, extra, objects)

    def _build(self, tree: Path, compiler: str, flags: tuple[str, ...], sources: list[Path]) -> Path:
        key = (compiler, flags, *((path, path.read_bytes()) for path in (*sources, *tree.rglob("*.hpp"))))
        if key not in self._made:
            made = self._folder / f"{len(self._made)}.o"
            include = f"-I{tree / MODULE}"
            command = [compiler, *FLAGS, *flags, include, *map(str, sources), "-o", str(made)]
            done = subprocess.run(command, capture_output=True, text=True, timeout=120)
            assert done.returncode == 0, done.stderr
            self._made[key] = made
        return self._made[key]


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Compiler:
    return Compiler(tmp_path_factory.mktemp("compiled"))
