"""Constraints between settings, such as `h_cycles * l_cycles == 4`: parsed, never run as Python.

A constraint is made of names of settings (`model.h_cycles`, or `h_cycles` where one section alone has it),
numbers, words in quotes, `+ - * / // %`, comparisons, `in`, `and`, `or`, `not` and brackets.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from hrm_rl.utils.errors import UserError, nearest

LONGEST = 500
"""Characters of a constraint."""

_ARITHMETIC: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}
_COMPARISON: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda value, values: value in values,
    ast.NotIn: lambda value, values: value not in values,
}


@dataclass(frozen=True)
class Constraint:
    """A condition that the settings of every trial meet."""

    text: str
    names: tuple[str, ...]
    """Settings that it speaks of, as `section.field`."""
    tree: ast.expr

    def holds(self, settings: Mapping[str, Any]) -> bool:
        """Whether it is true of `settings`, given as `section.field: value`. Raises UserError where it makes
        no sense of them (a word times two, a division by zero)."""
        try:
            return bool(_value(self.tree, settings))
        except (TypeError, ZeroDivisionError) as error:
            shown = ", ".join(f"{name}={settings[name]}" for name in self.names)
            raise UserError(f"constraint '{self.text}' cannot be worked out with {shown}: {error}") from None


def parse_constraint(text: str, known: list[str]) -> Constraint:
    """The constraint that `text` states. known: all settings, `section.field`. Raises UserError."""
    if len(text) > LONGEST:
        raise UserError(f"a constraint of {len(text)} characters is too long (at most {LONGEST})")
    try:
        tree = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise UserError(
            f"constraint '{text}' cannot be understood; it should look like 'h_cycles * l_cycles == 4'"
        ) from None
    names: list[str] = []
    resolved = _resolve(tree, text, known, names)
    if not names:
        raise UserError(f"constraint '{text}' names no setting")
    return Constraint(text, tuple(dict.fromkeys(names)), resolved)


def resolve_name(name: str, known: list[str], where: str) -> str:
    """`section.field` of a full or short name. Raises UserError with the nearest, or with the choices."""
    if name in known:
        return name
    matches = [full for full in known if full.rpartition(".")[2] == name]
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise UserError(f"{where}: '{name}' could be {' or '.join(matches)}; give its full name")
    short = [full.rpartition(".")[2] for full in known]
    raise UserError(f"{where}: unknown setting '{name}'{nearest(name, known if '.' in name else short)}")


def _resolve(node: ast.expr, text: str, known: list[str], names: list[str]) -> ast.expr:
    """The same tree with full names in it, if it holds nothing but what the module's docstring allows."""

    def inside(child: ast.expr) -> ast.expr:
        return _resolve(child, text, known, names)

    match node:
        case ast.Constant(value=bool() | int() | float() | str()):
            return node
        case ast.Name() | ast.Attribute(value=ast.Name()):
            full = resolve_name(ast.unparse(node), known, f"constraint '{text}'")
            names.append(full)
            return ast.Name(full)
        case ast.BoolOp(op=op, values=values):
            return ast.BoolOp(op, [inside(v) for v in values])
        case ast.UnaryOp(op=ast.Not() | ast.USub() as op, operand=operand):
            return ast.UnaryOp(op, inside(operand))
        case ast.BinOp(left=left, op=operation, right=right) if type(operation) in _ARITHMETIC:
            return ast.BinOp(inside(left), operation, inside(right))
        case ast.Compare(left=left, ops=ops, comparators=others) if all(type(o) in _COMPARISON for o in ops):
            return ast.Compare(inside(left), ops, [inside(o) for o in others])
        case ast.Tuple(elts=elements) | ast.List(elts=elements):
            return ast.Tuple([inside(e) for e in elements])
    raise UserError(
        f"constraint '{text}': '{ast.unparse(node)}' is not allowed; allowed are names of settings, numbers, "
        "+ - * / // %, comparisons, in, and, or, not"
    )


def _value(node: ast.expr, settings: Mapping[str, Any]) -> Any:
    match node:
        case ast.Constant(value=value):
            return value
        case ast.Name(id=name):
            return settings[name]
        case ast.BoolOp(op=ast.And(), values=values):
            return all(_value(v, settings) for v in values)
        case ast.BoolOp(values=values):
            return any(_value(v, settings) for v in values)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return not _value(operand, settings)
        case ast.UnaryOp(operand=operand):
            return -_value(operand, settings)
        case ast.BinOp(left=left, op=operation, right=right):
            return _ARITHMETIC[type(operation)](_value(left, settings), _value(right, settings))
        case ast.Compare(left=left, ops=ops, comparators=others):
            values = [_value(v, settings) for v in (left, *others)]
            pairs = zip(ops, values, values[1:], strict=False)
            return all(_COMPARISON[type(op)](one, other) for op, one, other in pairs)
        case ast.Tuple(elts=elements):
            return tuple(_value(e, settings) for e in elements)
    raise AssertionError(f"{ast.dump(node)} was let through by parse_constraint")
