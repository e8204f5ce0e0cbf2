"""Parsing, printing and compiling of expressions."""

import pytest
from storeproof.spec.compiler import EvaluationError, compiled, compiled_functions, source
from storeproof.spec.expressions import ExpressionError, parse
from storeproof.spec.jsonvalues import equal, is_array, is_object
from storeproof.spec.loader import read_data
from storeproof.spec.syntax import text_of

NAMES = {
    "run": {"status": "queued", "lease": {"owner": "a", "expiresAt": 5}, "n": None, "l": [1, 2], "j": 1.0, "t": True},
    "none": None,
    "state": {"class": 7},
    "waits": [{"type": "signal", "name": "n"}, {"type": "approval"}],
}


def evaluate(text: str) -> object:
    return compiled(text, NAMES, compiled_functions({"twice": (("x",), "x + x")}))(*NAMES.values())


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1 + 2 - 4", -1),
        ("-run.lease.expiresAt", -5),
        ("10 - (3 - 2)", 9),
        ("'a' + 'b'", "ab"),
        ("has(run.lease)", True),
        ("has(run.gone)", False),
        ("has(run.n)", True),
        ("run.n == null", True),
        ("none != null", False),
        ("run == null", False),
        ("run.lease == {'expiresAt': 5, 'owner': 'a'}", True),
        ("run.j == 1", True),
        ("run.t == 1", False),
        ("[1, true] == [1, 1]", False),
        ("run.t == true", True),
        ("1 in [true, 1]", True),
        ("true in [0, 1]", False),
        ("run.status in ['queued', 'paused']", True),
        ("!(run.status in ['queued'])", False),
        ("run.l[1]", 2),
        ("run.l[size(run.l) - 1]", 2),
        ("size('aé') + size(bytes('aé')) + size(run.l)", 7),
        ("string(12) + '!'", "12!"),
        ("int('0012')", 12),
        ("waits.exists(w, w.type == 'signal' && w.name == 'n')", True),
        ("waits.all(w, has(w.name))", False),
        ("has(run.gone) && run.gone.x == 1", False),
        ("!has(run.gone) || run.gone.x == 1", True),
        ("has(run.gone) ? run.gone : 'none'", "none"),
        ("false ? 1 : true ? 2 : 3", 2),
        ("twice('ab')", "abab"),
        ("state.class", 7),
        ("'b' < 'c' && 1 <= 1 && 2 > 1 && 2 >= 2", True),
    ],
)
def test_an_expression_has_its_value(text: str, value: object) -> None:
    assert equal(evaluate(text), value)


@pytest.mark.parametrize("text", ["run.l[2]", "run.l[-1]", "int('x')", "int('1_0')"])
def test_what_the_checker_cannot_see_fails_as_such(text: str) -> None:
    with pytest.raises(EvaluationError):
        evaluate(text)


@pytest.mark.parametrize(
    ("text", "problem", "column"),
    [
        ('run.status == "queued"', "'\"' is not in the language", 14),
        ("run.status =", "'=' is not in the language", 11),
        ("run.", "expected a name, found the end", 4),
        ("a == b == c", "expected the end, found '=='", 7),
        ("(a", "expected ), found the end", 2),
        ("has(run)", "has() takes one field, as in has(run.lease)", 0),
        ("run.map(a, a)", "no method map; there are exists and all", 4),
        ("!!a", "expected a value, found !", 1),
        ("while", "expected a name, found while", 0),
        ("9223372036854775808", "an integer has 64 bits", 0),
        ("{1: 2}", "expected a key in quotes, found 1", 1),
        ("a  $ b", "'$' is not in the language", 3),
    ],
)
def test_what_is_no_expression_is_refused_with_a_caret(text: str, problem: str, column: int) -> None:
    with pytest.raises(ExpressionError) as caught:
        parse(text)
    assert caught.value.problem == problem
    assert caught.value.column == column
    assert str(caught.value).splitlines()[1:] == [f"  {text}", "  " + " " * column + "^"]


def all_expressions(value: object) -> list[str]:
    if is_object(value):
        found: list[str] = [
            value[key] for key in ("when", "of", "value", "holds", "forEach") if isinstance(value.get(key), str)
        ]
        return found + [text for inner in value.values() for text in all_expressions(inner)]
    if is_array(value):
        return [text for inner in value for text in all_expressions(inner)]
    return [value[1:]] if isinstance(value, str) and value.startswith("=") else []


def test_every_expression_of_the_model_reads_back_from_its_text() -> None:
    texts = all_expressions({name: part for name, part in read_data().items() if name != "contract"})
    assert len(texts) > 120
    for text in texts:
        assert parse(text_of(parse(text))) == parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "(a || b) && c",
        "a || b && c",
        "!(a && b)",
        "-(a + b)",
        "a - (b - c)",
        "(a ? b : c) ? d : e",
        "(a + b).f",
        "(a == b) == c",
    ],
)
def test_parentheses_are_printed_where_they_are_needed(text: str) -> None:
    assert text_of(parse(text)) == text


def test_generated_names_do_not_collide_with_pythons() -> None:
    assert source(parse("class_ + any + state")) == "((class_ + any_) + state_)"
