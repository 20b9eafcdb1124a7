"""An int8 model as C++: constants, weights and the sequence of kernel calls, nothing else.

The kernels are hand-written headers (px4_module/…/engine/kernels). Layouts, shapes, rescalings and the memory plan
are worked out here; no decision is left to the vehicle.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from px4_tinyml.compiler.graph import Graph
from px4_tinyml.compiler.operator import ConstantArray, Operator, Step
from px4_tinyml.compiler.plan import Plan, plan_memory
from px4_tinyml.emit.cpp import Emitted, braced, float_literal, identifier, integer, listed, rows
from px4_tinyml.emit.write import license_header, render
from px4_tinyml.errors import ConversionError

Constant = tuple[str, str, Emitted]
"""C++ type, name, value."""


def compile_model(graph: Graph, spec_hash: str, namespace: str = "motion::model") -> dict[str, str]:
    """File name → content of CompiledModel.hpp and .cpp, for a folder `model` beside `engine`.

    The same graph, hash and namespace give the same text. spec_hash: PipelineSpec.hash, hex.
    """
    if not re.fullmatch(r"[0-9a-f]*", spec_hash):
        raise ConversionError(f"spec hash {spec_hash!r}: expected hexadecimal digits")
    plan = plan_memory(graph)
    layers = [_layer(step, position, plan) for position, step in enumerate(graph.steps)]
    values = {
        "license": license_header(),
        "namespaces": [identifier(part) for part in namespace.split("::")],
        "summary": f"{_dimensions(graph.input.shape)} to {_dimensions(graph.output.shape)}, {graph.macs} MACs.",
        "constants": list(_constants(graph, plan)),
        "spec_hash": spec_hash,
        "layers": layers,
        "headers": sorted({layer["call"].header_file for layer in layers if layer["call"]}),
    }
    names = ("CompiledModel.hpp", "CompiledModel.cpp")
    return {name: render(f"compiler/templates/{name}.j2", **values) for name in names}


def _integer(name: str, value: int) -> Constant:
    """With a type that holds it also where int has 16 bits."""
    return "int" if abs(value) < 1 << 15 else "int32_t", name, integer(value)


def _constants(graph: Graph, plan: Plan) -> Iterator[Constant]:
    """Constants of CompiledModel, but for the hash."""
    ends = {"Input": graph.input, "Output": graph.output}
    yield from (("int", f"k{end}Size", integer(tensor.size)) for end, tensor in ends.items())
    yield from (("int", f"k{end}Offset", integer(plan.offsets[tensor.index])) for end, tensor in ends.items())
    yield ("int", "kArenaBytes", integer(plan.arena_bytes))
    yield from (("float", f"k{end}Scale", float_literal(tensor.scale)) for end, tensor in ends.items())
    yield from (("int", f"k{end}ZeroPoint", integer(tensor.zero_point)) for end, tensor in ends.items())
    yield _integer("kMacs", graph.macs)
    yield _integer("kWeightsBytes", graph.weights_bytes)


def _layer(step: Step, position: int, plan: Plan) -> dict[str, Any]:
    """One step for the template: its call (None when there is no code), constants of its Shape, arrays, arguments."""
    call, arrays, arguments = step.call(), {}, []
    for letter, tensor in zip("AB", step.operator.inputs, strict=False):
        if tensor.data is None:
            arguments.append(_place(plan, tensor.index))
        else:
            name = f"kConstant{letter}{position}"
            arrays[name] = ConstantArray("int8_t", tensor.data.ravel())
            arguments.append(identifier(name))
    if call:
        named = {f"k{name}{position}": array for name, array in call.arrays.items()}
        arrays |= named
        arguments += map(identifier, named)
    arguments.append(_place(plan, step.operator.output.index))
    return {
        "comment": _describe(step.operator),
        "call": call,
        "shape": [_integer(*constant) for constant in call.shape.items()] if call else [],
        "arrays": [
            (name, array, rows(map(braced, array.values), 4) if array.structs else rows(array.values, 20))
            for name, array in arrays.items()
        ],
        "arguments": listed(arguments),
    }


def _place(plan: Plan, index: int) -> Emitted:
    """The address of an activation."""
    return Emitted(f"arena + {integer(plan.offsets[index])}")


def _dimensions(shape: Iterable[int]) -> str:
    return "x".join(map(str, shape)) or "1"


def _describe(operator: Operator) -> str:
    """Operator, shapes, and its name in the model, for a comment."""
    inputs = " and ".join(_dimensions(tensor.shape) for tensor in operator.inputs)
    layer = re.sub(r"[^A-Za-z0-9_./-]", "_", operator.output.name.split(";")[0])[:60]
    activation = getattr(operator, "activation", "NONE")
    fused = f", {activation}" if activation != "NONE" else ""
    return f"{operator.name} {inputs} to {_dimensions(operator.output.shape)}{fused} ({layer})"
