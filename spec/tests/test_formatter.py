"""The printed form of the model files."""

import json
from pathlib import Path
from typing import Any

import pytest
from storeproof.spec.formatter import WIDTH, formatted, main, model_files


def test_what_fits_stands_on_one_line_and_the_rest_is_broken() -> None:
    long = "x" * WIDTH
    value: dict[str, Any] = {"a": [1, {"b": None}], "long": [long, {}]}
    assert formatted(value) == ('{\n  "a": [1, {"b": null}],\n  "long": [\n    "' + long + '",\n    {}\n  ]\n}\n')


def test_a_line_is_filled_to_the_width_and_no_further() -> None:
    room = WIDTH - len('  "a": [""]') - 1
    assert formatted({"a": ["x" * room]}).count("\n") == 3
    assert formatted({"a": ["x" * (room + 1)]}).count("\n") == 5


def test_empty_values_and_text_stay_as_they_are() -> None:
    assert formatted([]) == "[]\n"
    assert formatted({"a": {}, "b": "ü→", "c": 1.5}) == '{\n  "a": {},\n  "b": "ü→",\n  "c": 1.5\n}\n'


def test_formatting_is_stable_and_changes_no_value() -> None:
    files = model_files()
    assert len(files) == 30
    for path in files:
        value = json.loads(path.read_text(encoding="utf-8"))
        text = formatted(value)
        assert json.loads(text) == value
        assert formatted(json.loads(text)) == text


def test_check_changes_nothing_and_says_which(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good, bad = tmp_path / "good.json", tmp_path / "bad.json"
    good.write_text(formatted({"a": 1}))
    bad.write_text('{"a":1}')
    assert main(["--check", str(good), str(bad)]) == 1
    assert bad.read_text() == '{"a":1}'
    assert "bad.json: is not formatted" in capsys.readouterr().out
    assert main([str(good), str(bad)]) == 0
    assert bad.read_text() == good.read_text()
    assert main(["--check", str(bad)]) == 0
