"""The pages of docs/specification, made from the specification; a tool of this checkout, in no wheel.

    python -m specpages             writes them; read the diff
    python -m specpages --check     fails where they are stale

The specification says what is on the pages, `data/` what only readers need (examples, hazards, the words of the
rulings), `templates/` how it is laid out. Plain Markdown and SVG come out, so that any site generator will do.
"""
