"""Rules in a form to be read: their guards, effects and answers as Markdown. Knows the notation, not the contract."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from storeproof.spec.jsonvalues import is_array, is_object
from storeproof.spec.specification import Data, Relation

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9]*(?=\()")


def code(text: str) -> str:
    """Inline code, also where the text has bars or backticks: tables would end a cell at a bar."""
    shown = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("|", "&#124;")
    return f"<code>{shown.replace('*', '&#42;').replace('_', '&#95;').replace('`', '&#96;')}</code>"


def cell(text: str) -> str:
    """Text for a cell of a table."""
    return text.replace("|", "&#124;").replace("\n", " ")


def value(template: object) -> str:
    """A value of a template as an expression: `=args.now` is args.now, "queued" is 'queued'."""
    if isinstance(template, str) and template.startswith("="):
        return template[1:]
    if is_object(template):
        return "{" + ", ".join(_parts(template)) + "}"
    if is_array(template):
        return "[" + ", ".join(map(value, template)) + "]"
    return f"'{template}'" if isinstance(template, str) else json.dumps(template)


def answer(rule: Data) -> str:
    """What the rule answers, as a short phrase in Markdown."""
    if "raises" in rule:
        (name, data), *_ = rule["raises"].items()
        if name == "InvalidArgument":
            return f"raises **InvalidArgument** on {' or '.join(f'`{field}`' for field in data['fields'])}"
        return f"raises **{name}** {code(value(data))}"
    if "yields" in rule:
        return f"takes the row, gives {_given(rule['yields'])}"
    if "returns" in rule:
        return "nothing" if rule["returns"] is None else _given(rule["returns"])
    return "passes the row over"


def kind_of_answer(rule: Data) -> str:
    """The same in a word or two, for the decision table."""
    if "raises" in rule:
        return f"raises {next(iter(rule['raises']))}"
    if "yields" in rule:
        return "takes the row"
    if "returns" not in rule:
        return "passes over"
    match rule["returns"]:
        case None:
            return "nothing"
        case {"kind": str(kind)}:
            return f"`{kind}`"
        case str(expression):
            return code(expression[1:])
        case template:
            return code(value(template))


def effects(rule: Data, relations: Mapping[str, Relation]) -> list[str]:
    """What the rule does, one sentence of Markdown per effect, in their order."""
    return [_effect(effect, relations) for effect in rule.get("effects", ())]


def touched(rule: Data) -> list[str]:
    """The relations that the rule writes, each once."""
    return list(dict.fromkeys(_relation(effect) for effect in rule.get("effects", ())))


def effect_words(rule: Data) -> list[str]:
    """What the rule does in a few words each, for the decision table."""
    verbs = {"put": "puts", "update": "updates", "delete": "deletes from"}
    return [
        f"{verb} `{effect[key]}`" for effect in rule.get("effects", ()) for key, verb in verbs.items() if key in effect
    ]


def functions_in(expressions: str, known: Mapping[str, object]) -> list[str]:
    """The functions of the model that are called in the text, each once."""
    return [name for name in dict.fromkeys(_NAME.findall(expressions)) if name in known]


def _given(template: object) -> str:
    if is_object(template) and set(template) == {"$copy"}:
        return " and ".join(_copied(giver, fields) for giver, fields in template["$copy"].items())
    return code(value(template))


def _effect(effect: Data, relations: Mapping[str, Relation]) -> str:
    relation = f"[{_relation(effect)}](../relations.md#{_relation(effect)})"
    if "delete" in effect:
        whole = len(effect["key"]) == len(relations[effect["delete"]].key)
        which = "the row with the key" if whole else "every row whose key begins with"
        return f"Deletes from {relation} {which} {code(', '.join(effect['key']))}."
    if "update" in effect:
        parts: list[str] = []
        if effect.get("unset"):
            parts.append(f"takes {', '.join(f'`{name}`' for name in effect['unset'])} away")
        parts += _settings(effect.get("set", {}), "sets ")
        return f"In {relation}, in the row {code(', '.join(effect['key']))} if it is there, {', '.join(parts)}."
    start = ""
    if "forEach" in effect:
        index = f" and its index {code(effect['index'])}" if "index" in effect else ""
        start = f"For each {code(effect['as'])} of {code(effect['forEach'])}{index}: "
    row = effect["row"]
    filled = code(value(row)) if isinstance(row, str) else ", ".join(_settings(row, ""))
    return f"{start}{'puts' if start else 'Puts'} a row into {relation}, in place of one with the same key: {filled}."


def _settings(template: Data, verb: str) -> Iterator[str]:
    for name, given in template.items():
        if name == "$copy":
            for giver, fields in given.items():
                yield f"{'takes over ' if verb else ''}{_copied(giver, fields)}"
        else:
            rest = " unless that is null" if name.endswith("?") else ""
            yield (
                f"{verb}`{name.removesuffix('?')}` to {code(value(given))}{rest}"
                if verb
                else (f"`{name.removesuffix('?')}` as {code(value(given))}{rest}")
            )


def _copied(giver: str, fields: list[str]) -> str:
    return f"{', '.join(f'`{field}`' for field in fields)} as in {code(giver)} where present"


def _parts(template: dict[str, Any]) -> Iterator[str]:
    for name, given in template.items():
        if name == "$copy":
            yield from (f"{field} of {giver}" for giver, fields in given.items() for field in fields)
        else:
            yield f"{name}: {value(given)}"


def _relation(effect: Data) -> str:
    return str(effect.get("put") or effect.get("update") or effect["delete"])
