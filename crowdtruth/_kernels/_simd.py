"""Short vectors that stay in registers, for kernels whose inner loop is one row of a table.

The compiler unrolls a loop over 8 doubles into 8 scalar chains. Here a row is one value of an LLVM vector type instead,
as many lanes wide as the tuple `lanes` is long, so that the width is known when the kernel is compiled. Each function's
Python body says what it means, and is what runs when the compiler is off; the overload below it is the compiled form.
Both give the same bits: no fused multiply-add, and sums in a fixed pairwise order.
"""

# ruff: noqa: PLW0108 - an overload returns a function of its own, not an intrinsic

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic, models, overload, register_model
from numpy.typing import NDArray

WIDTHS = (2, 4, 8, 16, 32)
"""Numbers of lanes with a vector form."""

Row = NDArray[np.float64]


def lanes_of(width: int) -> tuple[int, ...]:
    """The argument `lanes` of a kernel `width` lanes wide."""
    return (0,) * width


def load(table: Row, row: int, lanes: tuple[int, ...]) -> Row:
    """Row `row` of a (n_rows, n_lanes) table."""
    return table[row].copy()


def store(table: Row, row: int, vector: Row) -> None:
    """Overwrite row `row` of a (n_rows, n_lanes) table."""
    table[row] = vector


def add_to(table: Row, row: int, vector: Row) -> None:
    """Add to row `row` of a (n_rows, n_lanes) table."""
    table[row] += vector


def multiply(left: Row, right: Row) -> Row:
    """Lane by lane product."""
    return left * right


def scale(vector: Row, factor: float) -> Row:
    """Every lane times one number."""
    return vector * factor


def total(vector: Row) -> float:
    """Sum of the lanes: the upper half is added to the lower until one is left."""
    while len(vector) > 1:
        half = len(vector) // 2
        vector = vector[:half] + vector[half:]
    return vector[0]


class VectorType(types.Type):
    """Numba's type of a row of `width` doubles."""

    def __init__(self, width: int) -> None:
        self.width = width
        super().__init__(name=f"Vector({width})")


def _llvm(width: int) -> ir.VectorType:
    """LLVM's type of a row of `width` doubles."""
    return ir.VectorType(ir.DoubleType(), width)


@register_model(VectorType)
class _VectorModel(models.PrimitiveModel):
    """A vector is one LLVM value, which is what keeps it in registers."""

    def __init__(self, dmm: Any, fe_type: VectorType) -> None:
        super().__init__(dmm, fe_type, _llvm(fe_type.width))


def _row_pointer(context: Any, builder: Any, table_type: Any, table: Any, row: Any, width: int) -> Any:  # noqa: PLR0917
    """Address of the first lane of a row, as a pointer to a vector."""
    data = context.make_array(table_type)(context, builder, table).data
    first = builder.mul(row, ir.Constant(ir.IntType(64), width))
    return builder.bitcast(builder.gep(data, [first]), _llvm(width).as_pointer())


_ALIGNMENT = 8  # bytes numpy promises for float64


@intrinsic
def _load(typing: Any, table: Any, row: Any, lanes: Any) -> Any:
    """Compiled `load`."""
    width = lanes.count

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer = _row_pointer(context, builder, table, arguments[0], arguments[1], width)
        return builder.load(pointer, align=_ALIGNMENT)

    return VectorType(width)(table, types.intp, lanes), generate


@intrinsic
def _store(typing: Any, table: Any, row: Any, vector: Any) -> Any:
    """Compiled `store`."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer = _row_pointer(context, builder, table, arguments[0], arguments[1], vector.width)
        builder.store(arguments[2], pointer, align=_ALIGNMENT)
        return context.get_dummy_value()

    return types.void(table, types.intp, vector), generate


@intrinsic
def _add_to(typing: Any, table: Any, row: Any, vector: Any) -> Any:
    """Compiled `add_to`."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer = _row_pointer(context, builder, table, arguments[0], arguments[1], vector.width)
        added = builder.fadd(builder.load(pointer, align=_ALIGNMENT), arguments[2])
        builder.store(added, pointer, align=_ALIGNMENT)
        return context.get_dummy_value()

    return types.void(table, types.intp, vector), generate


@intrinsic
def _multiply(typing: Any, left: Any, right: Any) -> Any:
    """Compiled `multiply`."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.fmul(*arguments)

    return left(left, right), generate


def _lane_numbers(numbers: Any) -> ir.Constant:
    """Constant of lane numbers, as shuffles take them."""
    numbers = list(numbers)
    return ir.Constant(ir.VectorType(ir.IntType(32), len(numbers)), numbers)


@intrinsic
def _scale(typing: Any, vector: Any, factor: Any) -> Any:
    """Compiled `scale`."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        undefined = ir.Constant(_llvm(vector.width), ir.Undefined)
        first = builder.insert_element(undefined, arguments[1], ir.Constant(ir.IntType(32), 0))
        splat = builder.shuffle_vector(first, undefined, _lane_numbers([0] * vector.width))
        return builder.fmul(arguments[0], splat)

    return vector(vector, types.float64), generate


@intrinsic
def _total(typing: Any, vector: Any) -> Any:
    """Compiled `total`."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        value, width = arguments[0], vector.width
        while width > 1:
            half = width // 2
            lower = builder.shuffle_vector(value, value, _lane_numbers(range(half)))
            upper = builder.shuffle_vector(value, value, _lane_numbers(range(half, width)))
            value, width = builder.fadd(lower, upper), half
        return builder.extract_element(value, ir.Constant(ir.IntType(32), 0))

    return types.float64(vector), generate


def _compiled_form(function: Callable[..., Any]) -> Callable[..., Any]:
    """Decorator: the compiled form of one of the functions above."""
    return overload(function, strict=False)  # strict would compare annotations too


@_compiled_form(load)
def _overload_load(table: Any, row: Any, lanes: Any) -> Any:
    return lambda table, row, lanes: _load(table, row, lanes)


@_compiled_form(store)
def _overload_store(table: Any, row: Any, vector: Any) -> Any:
    return lambda table, row, vector: _store(table, row, vector)


@_compiled_form(add_to)
def _overload_add_to(table: Any, row: Any, vector: Any) -> Any:
    return lambda table, row, vector: _add_to(table, row, vector)


@_compiled_form(multiply)
def _overload_multiply(left: Any, right: Any) -> Any:
    return lambda left, right: _multiply(left, right)


@_compiled_form(scale)
def _overload_scale(vector: Any, factor: Any) -> Any:
    return lambda vector, factor: _scale(vector, factor)


@_compiled_form(total)
def _overload_total(vector: Any) -> Any:
    return lambda vector: _total(vector)
