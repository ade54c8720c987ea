"""Which statements cannot write, whoever looks: those may run without a transaction that says READ ONLY.

A SELECT is harmless if SQLAlchemy knows each of its parts, and none of them is text, locks rows or calls a function
that is not on the list. What is not known is taken for harmful, and costs a trip. What a view or a policy for rows
calls when it is read is out of sight here.
"""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import ColumnClause, CompoundSelect, FromClause, Select
from sqlalchemy.sql import visitors
from sqlalchemy.sql.functions import FunctionElement, GenericFunction, next_value
from sqlalchemy.sql.operators import custom_op


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_PARTS = _words(
    "select compound_select subquery cte alias lateral join table column label grouping select_statement_grouping "
    "bindparam null true false binary unary clauselist expression_clauselist tuple case cast type_coerce typeclause "
    "exists over funcfilter withingroup extract collation label_reference textual_label_reference slice array"
)
_FUNCTIONS = _words(
    "abs age avg array_length array_position bit_length bool_and bool_or btrim ceil ceiling cardinality "
    "clock_timestamp concat_ws date_bin date_part date_trunc every exp first_value floor format generate_series "
    "greatest initcap jsonb_agg jsonb_array_length jsonb_build_object jsonb_object_agg json_agg json_build_object lag "
    "last_value lead least left length ln lower lpad ltrim make_date make_interval md5 mod nth_value ntile nullif "
    "octet_length percent_rank position power regexp_replace repeat replace reverse right round row_number row_to_json "
    "rpad rtrim sign similarity split_part sqrt starts_with stddev string_agg strpos substr substring to_char to_date "
    "to_json to_jsonb to_number to_timestamp transaction_timestamp translate trim trunc ts_rank ts_rank_cd unnest "
    "upper variance word_similarity"
)
"""What PostgreSQL and its usual extensions bring, and what only computes."""
_OPERATORS = _words("-> ->> #> #>> @> <@ ? ?| ?& && || @@ @? ~ ~* !~ !~* % + - * / ^ # & | << >> -|- <->")
_verdicts: WeakKeyDictionary[Any, bool] = WeakKeyDictionary()


def harmless(compiled: Any) -> bool:
    """Say whether a compiled statement is a SELECT that cannot write; asked again, it costs a look in a dictionary."""
    if compiled is None:
        return False
    verdict = _verdicts.get(compiled)
    if verdict is None:
        verdict = _verdicts[compiled] = _only_reads(compiled)
    return verdict


def _only_reads(compiled: Any) -> bool:
    statement = compiled.statement
    if not isinstance(statement, Select | CompoundSelect) or not _options_are_known(statement):
        return False
    # The ORM has put its own joins and columns in there; the statement itself has them not.
    whole = getattr(compiled.compile_state, "statement", None)
    whole = statement if whole is None else whole
    return all(_is_known(part) and not (part is not whole and _is_entity(part)) for part in visitors.iterate(whole))


def _options_are_known(statement: Any) -> bool:
    # with_loader_criteria() adds to every SELECT inside, out of sight.
    return not any(hasattr(option, "where_criteria") for option in statement._with_options)


def _is_entity(part: Any) -> bool:
    """Say whether the ORM has columns to add to a SELECT inside: a model's own may be any expression."""
    return isinstance(part, Select) and any(isinstance(column, FromClause) for column in part._raw_columns)


def _is_known(part: Any) -> bool:
    if not _is_sqlalchemys(type(part)) or _has_text(part) or _translates(getattr(part, "type", None)):
        return False
    if isinstance(part, FunctionElement):
        return _only_computes(part)
    operator = getattr(part, "operator", None)
    if isinstance(operator, custom_op) and operator.opstring not in _OPERATORS:
        return False
    return part.__visit_name__ in _PARTS


def _is_sqlalchemys(kind: type) -> bool:
    """Say whether no class of somebody else's decides what is written."""
    modules = {base.__module__.partition(".")[0] for base in kind.__mro__}
    return modules <= {"sqlalchemy", "sqlmodel", "builtins", "typing"}


def _has_text(part: Any) -> bool:
    for holder in ("_prefixes", "_suffixes", "_hints", "_statement_hints"):
        if getattr(part, holder, None):
            return True
    if getattr(getattr(part, "name", None), "quote", None) is False:
        return True
    return isinstance(part, ColumnClause) and part.is_literal and part.name != "*" and not part.name.isdigit()


def _translates(kind: Any) -> bool:
    """Say whether a type of somebody's own wraps its values in SQL."""
    return bool(getattr(kind, "_has_bind_expression", False) or getattr(kind, "_has_column_expression", False))


def _only_computes(function: Any) -> bool:
    if isinstance(function, GenericFunction):
        return not isinstance(function, next_value)
    packages = tuple(getattr(function, "packagenames", ()))
    return packages in ((), ("pg_catalog",)) and getattr(function, "name", "").lower() in _FUNCTIONS
