"""An SQL statement in few words: its verb, the tables it changes or reads, and whether it locks. Knows no database.

Reads tokens, not grammar. Refused: a parser of SQL such as sqlglot, which is megabytes for a label and still refuses
what some third-party store sends; here a statement that can't be read is shown as it is, cut.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import groupby, takewhile
from typing import NamedTuple

_TOKEN = re.compile(
    r"""\s+ | /\*.*?\*/ | --[^\n]*\n
    | (?P<word> "(?:[^"]|"")*" | `[^`]*` | [^\W\d]\w* )
    | (?P<other> '(?:[^']|'')*' | \$(?P<tag>\w*)\$.*?\$(?P=tag)\$ | %\(\w*\)s | %s | [?:$]\w+ | \d\w* | . )""",
    re.VERBOSE | re.DOTALL,
)
_PARAMETER = re.compile(r"(?:%\(\w*\)s|%s|\$\d+|\?\d*|(?<!:):\w+)(?:::\w+(?:\[\])?)?")
_TRANSACTION = frozenset(("abort", "begin", "commit", "end", "release", "rollback", "savepoint", "start"))
_LONGEST = 20_000
_MOST_COLUMNS = 4
_MOST_DEEDS = 8


class _Token(NamedTuple):
    text: str
    word: str
    """In lower case and unquoted, or empty where the token is no name and no keyword."""


class _Deed(NamedTuple):
    verb: str
    table: str
    at: int
    """Where its verb is among the tokens."""


def statement_wordings(sql: str) -> Iterator[str]:
    """At least one, the fullest first: `update workflow_runs set status, …`, `select workflow_runs … for update`.

    A statement that changes several tables, and a batch of several statements, are the list of what they do.
    """
    tokens = _tokens(sql[:_LONGEST])
    statements = list(_split(tokens))
    if not statements or statements[0][0].word in _TRANSACTION:
        yield sql.strip().rstrip(";").upper()
        return
    deeds = [(statement, deed) for statement in statements for deed in _deeds(statement)]
    if not deeds:
        yield _PARAMETER.sub("?", sql)
    elif len(deeds) == 1:
        statement, deed = deeds[0]
        yield from _one(statement, deed)
    else:
        yield from _several([deed for _, deed in deeds])


def _one(tokens: list[_Token], deed: _Deed) -> Iterator[str]:
    said = f"{deed.verb} {deed.table}"
    words = " ".join(token.word or "·" for token in tokens[deed.at :])
    if deed.verb == "update":
        columns = _columns(tokens[deed.at :])
        for count in range(min(len(columns), _MOST_COLUMNS), 0, -1):
            yield f"{said} set {', '.join(columns[:count])}{', …' if count < len(columns) else ' …'}"
    locks = re.search(r"\bfor (?:no key )?(?:update|share)\b(?:.* (?:skip locked|nowait)\b)?", words)
    if deed.verb == "select" and locks:
        yield f"{said} … {re.sub(' of .* (?=skip|nowait)', ' ', locks[0])}"
    conflict = re.search(r"\bon conflict\b.*?\b(do nothing|do update)\b", words)
    if deed.verb == "insert" and conflict:
        yield f"{said} … on conflict {conflict[1]}"
    yield f"{said} …"
    yield said
    # The prefix is the same on all tables of a store, so it is the part to do without.
    yield f"{deed.verb} …{deed.table.partition('_')[2] or deed.table}"


def _several(deeds: list[_Deed]) -> Iterator[str]:
    """All of them; then without the prefix that all the tables share; then ever fewer."""
    yield _listed(deeds)
    segments = [deed.table.split("_") for deed in deeds]
    # The last segment stays, or one table written twice would have no name.
    shared = list(takewhile(lambda parts: len(set(parts)) == 1, zip(*(parts[:-1] for parts in segments), strict=False)))
    bare = [deed._replace(table="_".join(parts[len(shared) :])) for deed, parts in zip(deeds, segments, strict=True)]
    yield _listed(bare)
    for count in range(min(len(deeds) - 1, _MOST_DEEDS), 0, -1):
        yield f"{_listed(bare[:count])}; …"


def _listed(deeds: list[_Deed]) -> str:
    groups = groupby(deeds, key=lambda deed: deed.verb)
    return "; ".join(f"{verb} {', '.join(dict.fromkeys(deed.table for deed in group))}" for verb, group in groups)


def _deeds(tokens: list[_Token]) -> Iterator[_Deed]:
    """What one statement changes, in the order of its text; if it only reads, the table that it reads first."""
    changes: list[_Deed] = []
    for at, token in enumerate(tokens):
        # Elsewhere the same words are a clause: `for update`, `on conflict do update`, `on delete cascade`.
        if token.word in ("insert", "update", "delete", "replace", "merge") and _begins(tokens, at):
            table = _table_after(tokens, at, *(["update"] if token.word == "update" else ["into", "from"]))
            if table:
                changes.append(_Deed(token.word, table, at))
    if changes:
        yield from changes
    elif tokens[0].word in ("select", "with"):
        yield from _reading(tokens)


def _reading(tokens: list[_Token]) -> Iterator[_Deed]:
    """The table after the outermost `from`, for `select a, (select …) from b` reads b in the first place."""
    queries = {
        before.word
        for before, token, after in zip(tokens, tokens[1:], tokens[2:], strict=False)
        if token.word == "as" and (after.text == "(" or after.word in ("materialized", "not"))
    }
    depth, found = 0, list[tuple[int, str]]()
    for at, token in enumerate(tokens):
        depth += (token.text == "(") - (token.text == ")")
        if token.word == "from":
            table = _table_after(tokens, at, "from")
            if table and table not in queries:
                found.append((depth, table))
    if found:
        yield _Deed("select", min(found, key=lambda table: table[0])[1], 0)


def _begins(tokens: list[_Token], at: int) -> bool:
    return at == 0 or tokens[at - 1].text in ("(", ")")


def _table_after(tokens: list[_Token], at: int, *keywords: str) -> str | None:
    """The last part of the name behind a keyword at `at` or soon after: a schema says nothing to a reader."""
    found = (place for place in range(at, min(at + 4, len(tokens))) if tokens[place].word in keywords)
    keyword = next(found, None)
    if keyword is None:
        return None
    place = keyword + 1
    while place < len(tokens) and tokens[place].word in ("only", "lateral", "or", "ignore", "rollback"):
        place += 1
    texts = [token.text for token in tokens[place : place + 6]] + [""] * 6
    while texts[1] == "." and place + 2 < len(tokens):
        place, texts = place + 2, texts[2:]
    # What gives rows behind a `from`, such as json_each(…), is a function.
    called = texts[1] == "(" and tokens[keyword].word == "from"
    return None if called or place >= len(tokens) else tokens[place].word or None


def _columns(tokens: list[_Token]) -> list[str]:
    """What an `update` sets."""
    columns: list[str] = []
    depth, setting = 0, False
    for before, token, after in zip(tokens, tokens[1:], tokens[2:], strict=False):
        depth += (before.text == "(") - (before.text == ")")
        if depth < 0 or (depth == 0 and setting and before.word in ("where", "from", "returning")):
            break
        setting = setting or before.word == "set"
        if setting and depth == 0 and (before.word == "set" or before.text == ",") and after.text == "=":
            columns.append(token.word)
    return columns


def _split(tokens: list[_Token]) -> Iterator[list[_Token]]:
    for semicolon, group in groupby(tokens, key=lambda token: token.text == ";"):
        if not semicolon:
            yield list(group)


def _tokens(sql: str) -> list[_Token]:
    found: list[_Token] = []
    for match in _TOKEN.finditer(sql):
        if word := match["word"]:
            quoted = word[0] in '"`'
            found.append(_Token(word, word[1:-1].replace('""', '"') if quoted else word.lower()))
        elif other := match["other"]:
            found.append(_Token(other, ""))
    return found
