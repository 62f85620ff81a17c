"""Whether a statement binds every table of tenants to one tenant: judged on PostgreSQL's own parse tree.

Each table that has a column `tenant` is a point. An equality of two points' tenants joins them, and one with anything
that is the same for the whole statement (a parameter, a literal, a variable, a function) joins the point to it. Tables
that are joined, and a subquery with the query around it, must hang together so. What stands alone, as the arms of a
UNION, need not. Tables of a run have no tenant: each is one tenant's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from pglast import ast, parse_sql
from pglast.enums import A_Expr_Kind, BoolExprType, SetOperation

Table = tuple[str, str]  # schema, name
FIXED = 0  # the point of all that is the same for the whole statement


class _Scope:
    """One level of a query: what is named there, and the points that are joined there."""

    def __init__(self, around: _Scope | None) -> None:
        self.around = around
        self.named: dict[str, int | None] = {}  # alias → point; None: nothing of tenants in it
        self.ctes: dict[str, int | None] = {}
        self.points: list[tuple[int, str]] = []

    def add(self, alias: str, point: int | None) -> None:
        self.named[alias] = point
        if point is not None:
            self.points.append((point, alias))

    def find(self, alias: str) -> int | None:
        scope: _Scope | None = self
        while scope:
            if alias in scope.named:
                return scope.named[alias]
            scope = scope.around
        return None

    def only(self) -> int | None:
        """What a bare `tenant` means: the nearest level that has points has one."""
        scope: _Scope | None = self
        while scope:
            if scope.points:
                return scope.points[0][0]
            scope = scope.around
        return None

    def cte(self, name: str) -> tuple[bool, int | None]:
        scope: _Scope | None = self
        while scope:
            if name in scope.ctes:
                return True, scope.ctes[name]
            scope = scope.around
        return False, None

    def outer_points(self) -> list[tuple[int, str]]:
        scope = self.around
        while scope:
            if scope.points:
                return scope.points
            scope = scope.around
        return []


class _Statement:
    def __init__(self, tenant_tables: set[Table]) -> None:
        self.tenant_tables = tenant_tables
        self.parent = [FIXED]
        self.together: list[tuple[tuple[int, str], tuple[int, str]]] = []
        self.tables: set[Table] = set()

    # Points

    def new(self) -> int:
        self.parent.append(len(self.parent))
        return len(self.parent) - 1

    def root(self, point: int) -> int:
        while self.parent[point] != point:
            point = self.parent[point]
        return point

    def join(self, one: int, other: int) -> None:
        low, high = sorted((self.root(one), self.root(other)))
        self.parent[high] = low

    # Queries

    def query(self, node: Any, around: _Scope | None, *, subquery: bool) -> int | None:
        """Walk through one query; gives the point that it is to whoever reads from it."""
        if isinstance(node, ast.SelectStmt) and node.op != SetOperation.SETOP_NONE:
            scope = _Scope(around)
            self.with_clause(node, scope)
            arms = [self.query(arm, scope, subquery=subquery) for arm in (node.larg, node.rarg)]
            return self.as_one(arms)
        scope = _Scope(around)
        self.with_clause(node, scope)
        target = getattr(node, "relation", None)
        if isinstance(target, ast.RangeVar):
            if isinstance(node, ast.InsertStmt):
                self.insertion(node, target, scope)
            else:
                self.source(target, scope)
        for name in ("fromClause", "usingClause", "sourceRelation"):
            sources = getattr(node, name, None)
            for each in (sources if isinstance(sources, tuple) else (sources,)) if sources else ():
                self.source(each, scope)
        for name in ("whereClause", "joinCondition"):
            self.condition(getattr(node, name, None), scope)
        exposed = None
        for name in node.__slots__:
            if name in ("withClause", "relation", "fromClause", "usingClause", "sourceRelation", "whereClause"):
                continue
            self.inside(getattr(node, name), scope)
        for entry in getattr(node, "targetList", None) or ():
            if isinstance(node, ast.SelectStmt) and isinstance(entry, ast.ResTarget):
                exposed = exposed if exposed is not None else self.tenant_of(entry.val, scope)
        first = scope.points[0] if scope.points else None
        for other in scope.points[1:]:
            self.together.append((scope.points[0], other))
        if subquery and first and (outer := scope.outer_points()):
            self.together.append((outer[0], first))
        return exposed if exposed is not None else first and first[0]

    def as_one(self, arms: list[int | None]) -> int | None:
        points = [arm for arm in arms if arm is not None]
        if not points:
            return None
        whole = self.new()
        if all(self.root(point) == FIXED for point in points):
            self.join(whole, FIXED)
        elif len({self.root(point) for point in points}) == 1:
            self.join(whole, points[0])
        return whole

    def with_clause(self, node: Any, scope: _Scope) -> None:
        clause = getattr(node, "withClause", None)
        for cte in clause.ctes if clause else ():
            if clause.recursive:
                scope.ctes[cte.ctename] = None
            scope.ctes[cte.ctename] = self.query(cte.ctequery, scope, subquery=False)

    def source(self, node: Any, scope: _Scope) -> None:
        """One entry of a FROM."""
        match node:
            case ast.RangeVar():
                alias = node.alias.aliasname if node.alias else node.relname
                found, point = scope.cte(node.relname) if not node.schemaname else (False, None)
                if not found and (node.schemaname, node.relname) in self.tenant_tables:
                    self.tables.add((node.schemaname, node.relname))
                    point = self.new()
                scope.add(alias, point)
            case ast.RangeSubselect():
                point = self.query(node.subquery, scope, subquery=bool(node.lateral))
                scope.add(node.alias.aliasname if node.alias else "", point)
            case ast.JoinExpr():
                before = len(scope.points)
                self.source(node.larg, scope)
                self.source(node.rarg, scope)
                if any(each.sval == "tenant" for each in node.usingClause or ()):
                    for point, _ in scope.points[before:]:
                        self.join(scope.points[before][0], point)
                self.condition(node.quals, scope)
            case _:
                if getattr(node, "alias", None):
                    scope.named[node.alias.aliasname] = None
                self.inside(node, scope)

    def insertion(self, node: ast.InsertStmt, target: ast.RangeVar, scope: _Scope) -> None:
        """What is written must say whose it is; what it is written from stands for itself."""
        if (target.schemaname, target.relname) not in self.tenant_tables:
            return
        self.tables.add((target.schemaname, target.relname))
        if node.cols and "tenant" not in [column.name for column in node.cols]:
            self.together.append(((FIXED, "what is written"), (self.new(), target.relname)))
        # Of ON CONFLICT's row: it is the one with the same tenant, as every unique index holds it.
        scope.named[target.alias.aliasname if target.alias else target.relname] = FIXED
        scope.named["excluded"] = FIXED

    # Conditions

    def condition(self, node: Any, scope: _Scope) -> None:
        """What must hold: equalities of tenants under AND count, whatever else is there is only walked through."""
        match node:
            case ast.BoolExpr(boolop=BoolExprType.AND_EXPR):
                for each in node.args:
                    self.condition(each, scope)
            case ast.A_Expr(kind=A_Expr_Kind.AEXPR_OP) if node.name[-1].sval == "=":
                self.equal(node.lexpr, node.rexpr, scope)
                self.inside(node, scope)
            case _:
                self.inside(node, scope)

    def equal(self, left: Any, right: Any, scope: _Scope) -> None:
        if isinstance(left, ast.RowExpr) and isinstance(right, ast.RowExpr):
            for one, other in zip(left.args, right.args, strict=False):
                self.equal(one, other, scope)
            return
        one, other = self.tenant_of(left, scope), self.tenant_of(right, scope)
        if one is not None and other is not None:
            self.join(one, other)
        elif one is not None and self.fixed(right, scope):
            self.join(one, FIXED)
        elif other is not None and self.fixed(left, scope):
            self.join(other, FIXED)

    def tenant_of(self, node: Any, scope: _Scope) -> int | None:
        if not isinstance(node, ast.ColumnRef):
            return None
        fields = [each.sval for each in node.fields if isinstance(each, ast.String)]
        if not fields or fields[-1] != "tenant":
            return None
        return scope.only() if len(fields) == 1 else scope.find(fields[-2])

    def fixed(self, node: Any, scope: _Scope) -> bool:
        """A parameter, a literal, a variable of a function, or what is made of them."""
        match node:
            case ast.ParamRef() | ast.A_Const():
                return True
            case ast.ColumnRef():
                fields = [each.sval for each in node.fields if isinstance(each, ast.String)]
                # A name that is nobody's alias is a variable, as `v_tenant`, `p_tenant` or `r.tenant`.
                if len(fields) == 1:
                    return fields[0] != "tenant"
                return len(fields) == 2 and not self.known(fields[0], scope)
            case ast.TypeCast():
                return self.fixed(node.arg, scope)
            case ast.FuncCall():
                return all(self.fixed(each, scope) for each in node.args or ())
            case ast.SubLink():
                return not list(sources(node.subselect))
        return False

    def known(self, alias: str, scope: _Scope | None) -> bool:
        while scope:
            if alias in scope.named:
                return True
            scope = scope.around
        return False

    def inside(self, node: Any, scope: _Scope) -> None:
        """Subqueries in an expression."""
        match node:
            case tuple():
                for each in node:
                    self.inside(each, scope)
            case ast.SubLink():
                self.inside(node.testexpr, scope)
                self.query(node.subselect, scope, subquery=True)
            case ast.SelectStmt():
                self.query(node, scope, subquery=False)
            case ast.Node():
                for name in node.__slots__:
                    self.inside(getattr(node, name), scope)

    def loose(self) -> list[str]:
        return sorted(
            {f"{one[1]} and {other[1]}" for one, other in self.together if self.root(one[0]) != self.root(other[0])}
        )


def sources(node: Any) -> Iterator[ast.RangeVar]:
    """Every table, view or CTE that stands anywhere in a tree."""
    if isinstance(node, ast.RangeVar):
        yield node
    children: Iterable[Any] = node if isinstance(node, tuple) else ()
    if isinstance(node, ast.Node):
        children = [getattr(node, name) for name in node.__slots__]
    for each in children:
        yield from sources(each)


_QUERIES = (ast.SelectStmt, ast.InsertStmt, ast.UpdateStmt, ast.DeleteStmt, ast.MergeStmt)


def _queries(node: Any) -> Iterator[Any]:
    """The outermost queries of a statement: of COPY, of a view, of a function's body."""
    if isinstance(node, _QUERIES):
        yield node
        return
    children: Iterable[Any] = node if isinstance(node, tuple) else ()
    if isinstance(node, ast.Node):
        children = [getattr(node, name) for name in node.__slots__]
    for each in children:
        yield from _queries(each)


def judge(text: str, tenant_tables: set[Table]) -> tuple[list[str], set[Table]]:
    """(pairs of tables that no equality of tenants holds together, the tables of tenants that are read or written)."""
    loose: list[str] = []
    tables: set[Table] = set()
    for raw in parse_sql(text):
        for query in _queries(raw.stmt):
            statement = _Statement(tenant_tables)
            statement.query(query, None, subquery=False)
            loose += statement.loose()
            tables |= statement.tables
    return loose, tables
