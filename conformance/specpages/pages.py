"""Every page of docs/specification: what is on it is put together here, how it looks is in the templates."""

from __future__ import annotations

import ast
import inspect
import json
import re
from functools import cache, partial
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from storeproof.conformance.programs import method_name
from storeproof.reference.instances import INSTANCES
from storeproof.spec import store
from storeproof.spec.loader import load
from storeproof.spec.specification import Data, Operation, Rule, Specification

from specpages import programs, wording
from specpages.charts import CHARTS, chart_edges, happenings
from specpages.chartsvg import chart_svg
from specpages.evidence import Evidence, evidence
from specpages.shapes import Shapes, bounds, openness
from specpages.transitions import TIME

HERE = Path(__file__).parent
BANNER = "<!-- Made from the specification by `python -m specpages`; change the specification, not this page. -->"
HEAD = "specification/"
PROMISES = "promises.md"
_ID = re.compile(r"(?<![\w.`#/-])((?:[A-Za-z]+|\{operation\})\.[a-z][a-z-]*(?:\.[a-z-]+)*)(?![\w-])")
_SHAPES_LEFT_OUT = ("Arguments", "Result")


def made_pages() -> dict[str, str]:
    """{path below docs: text} of all pages. Takes half a minute, most of it for the state diagrams."""
    return _Book(load()).pages()


def rule_page(rule: Rule) -> str:
    """The page of a rule, below docs/specification, with its anchor."""
    page = f"operations/{rule.operation}.md" if rule.operation else PROMISES
    return f"{page}#{rule.id}"


class _Book:
    """The pages of one specification."""

    def __init__(self, specification: Specification) -> None:
        self.specification = specification
        self.groups: list[Data] = _data("groups")
        self.examples: Data = _data("examples")
        self.evidence: Evidence = evidence(specification)
        self.order = [name for group in self.groups for name in group["operations"]]
        if sorted(self.order) != sorted(specification.operations):
            raise ValueError("data/groups.json does not have every operation once")

    def pages(self) -> dict[str, str]:
        pages = {name: self._page(f"{name}.md", "", **given) for name, given in self._flat_pages().items()}
        pages |= {
            f"operations/{name}": self._page(
                "operation.md", "../", **self._operation(self.specification.operations[name])
            )
            for name in self.order
        }
        return {f"{HEAD}{name}.md": text for name, text in pages.items()}

    def _flat_pages(self) -> dict[str, dict[str, Any]]:
        specification, rulings = self.specification, _data("rulings")
        return {
            "index": {"counts": self._counts()},
            "rules": {},
            "promises": {"promises": specification.data["promises"]},
            "shapes": {"shapes": Shapes(specification.contract, ""), "names": self._shape_names()},
            "relations": {"shapes": Shapes(specification.contract, "shapes.md")},
            "functions": {},
            "invariants": {"instances": list(INSTANCES)},
            "states": {"charts": list(map(self._chart, CHARTS))},
            "rulings": {"clauses": self._clauses(rulings["clauses"]), "differences": rulings["differences"]},
            "hazards": {"hazards": [self._hazard(hazard) for hazard in _data("hazards")]},
            "changelog": {"counts": self._counts()},
            "notation": {"text": _notation()},
        }

    def _page(self, template: str, up: str, **given: Any) -> str:
        text = (
            _environment()
            .get_template(template)
            .render(
                specification=self.specification,
                groups=self.groups,
                evidence=self.evidence,
                up=up,
                linked=partial(self._linked, up),
                rule_link=partial(self._rule_link, up),
                source_link=partial(self._source_link, up),
                bounds=bounds,
                openness=openness,
                wording=wording,
                programs=programs,
                **given,
            )
        )
        lines = re.sub(r"\n{3,}", "\n\n", text).strip()
        return f"{BANNER}\n\n{lines}\n"

    def _operation(self, operation: Operation) -> dict[str, Any]:
        contract, shapes = self.specification.contract["$defs"], Shapes(self.specification.contract, "../shapes.md")
        example = self.examples[operation.name]
        program = programs.recorded(self.specification, example["calls"])
        own = [number for number, item in enumerate(program, 1) if item.call.operation == operation.name]
        return {
            "operation": operation,
            "data": {raw["id"]: raw for raw in operation.data["rules"]},
            "each": operation.data.get("each", {}),
            "signature": signature(operation.name),
            "shapes": shapes,
            "arguments": contract[operation.arguments],
            "result": contract[operation.result],
            "example": example,
            "program": program,
            "wire": program[: max(own, default=0)],
        }

    def _hazard(self, hazard: Data) -> Data:
        return {**hazard, "program": programs.recorded(self.specification, hazard["calls"], hazard["decides"])}

    def _chart(self, name: str) -> Data:
        chart, found = CHARTS[name], chart_edges(name)
        everywhere = happenings(name)
        drawn = {rule for edge in found for rule in edge.rules}

        def address(rule: str) -> str:
            return f"operations/{self.specification.rules[rule].operation}.html#{rule}"

        return {
            "chart": chart,
            "svg": chart_svg(chart, found, address),
            "edges": found,
            "time": TIME,
            "kept": {rule: sorted(states) for rule, states in everywhere.kept.items() if rule not in drawn},
        }

    def _clauses(self, words: Data) -> list[Data]:
        clauses = self.specification.clauses
        rulings = [name for name in clauses if name.startswith("ruling")]
        if sorted(words) != sorted(rulings):
            raise ValueError("data/rulings.json does not have words for every ruling once")
        found: list[Data] = []
        for name in rulings:
            raw = clauses[name]
            rules = [rule.id for rule in self.specification.rules.values() if rule.source == name]
            each = [raw["id"] for raw in self.specification.data["promises"] if "each" in raw and raw["from"] == name]
            because = raw.get("because") if isinstance(raw, dict) else None
            stated = [rule for rule in rules if not rule.endswith(".arguments") or not each]
            found.append({"name": name, **words[name], "rules": each + stated, "because": because})
        return found

    def _shape_names(self) -> list[str]:
        return [name for name in self.specification.contract["$defs"] if not name.endswith(_SHAPES_LEFT_OUT)]

    def _counts(self) -> dict[str, int]:
        rules = list(self.specification.rules.values())
        return {
            "operations": len(self.specification.operations),
            "rules": len(rules),
            "decided": sum(rule.kind != "promise" for rule in rules),
            "promises": sum(rule.kind == "promise" for rule in rules),
            "must": sum(rule.level == "MUST" for rule in rules),
            "should": sum(rule.level == "SHOULD" for rule in rules),
            "invariants": len(self.specification.invariants),
            "relations": len(self.specification.relations),
            "functions": len(self.specification.functions),
            "vectors": len({name for names in self.evidence.vectors.values() for name in names}),
            "mutants": sum(self.evidence.mutants.values()),
            "equivalent": sum(map(len, self.evidence.equivalent.values())),
        }

    def _rule_link(self, up: str, name: str, shown: str = "") -> str:
        if name.startswith("{operation}"):
            return f"[{shown or name}]({up}{PROMISES}#{name.replace('{operation}', 'operation')})"
        return f"[{shown or name}]({up}{rule_page(self.specification.rules[name])})"

    def _source_link(self, up: str, source: str) -> str:
        """A clause of the contract; rulings have words on a page of their own."""
        return f"[{source}]({up}rulings.md#{source.replace(' ', '-')})" if source.startswith("ruling") else source

    def _linked(self, up: str, text: str) -> str:
        """The text with a link at every rule's id."""

        def link(found: re.Match[str]) -> str:
            name = found[1]
            known = name in self.specification.rules or name == "{operation}.arguments"
            return self._rule_link(up, name) if known else name

        return _ID.sub(link, text)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        comment_start_string="{##",  # {# begins the id of a heading
        comment_end_string="##}",
        autoescape=False,  # Markdown comes out
    )
    environment.filters["code"] = wording.code
    environment.filters["cell"] = wording.cell
    return environment


@cache
def _methods() -> dict[str, ast.AsyncFunctionDef]:
    tree = ast.parse(inspect.getsource(store))
    return {node.name: node for node in ast.walk(tree) if isinstance(node, ast.AsyncFunctionDef)}


def signature(operation: str) -> str:
    """The method of the Store protocol, an argument a line."""
    method = _methods()[method_name(operation)]
    given = method.args
    lines = [
        f"    {argument.arg}: {ast.unparse(argument.annotation)}{f' = {ast.unparse(default)}' if default else ''},"
        for argument, default in zip(given.kwonlyargs, given.kw_defaults, strict=True)
        if argument.annotation
    ]
    answer = ast.unparse(method.returns) if method.returns else "None"
    return "\n".join([f"async def {method.name}(", "    self,", "    *,", *lines, f") -> {answer}"])


def _notation() -> str:
    path = Path(inspect.getfile(store)).parent / "model" / "NOTATION.md"
    return path.read_text(encoding="utf-8").replace("# The notation of the model files", "", 1).strip()


def _data(name: str) -> Any:
    return json.loads((HERE / "data" / f"{name}.json").read_text(encoding="utf-8"))
