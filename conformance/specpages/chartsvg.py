"""A state diagram as SVG, for the inside of a page: the page's style sheet colours it, light and dark.

Knows boxes, lines and labels; what they say comes in. Every rule on it is a link.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from specpages.charts import Box, Chart, Point, Route
from specpages.transitions import TIME, Edge

_LINE = 16
"""From a line of text to the next, in pixels."""
_RADIUS = 9


def chart_svg(chart: Chart, edges: Sequence[Edge], address: Callable[[str], str]) -> str:
    """The `svg` element, without blank lines; `address` gives the address of a rule's id."""
    width, height = chart.size
    root = Element(
        "svg",
        {
            "xmlns": "http://www.w3.org/2000/svg",
            "class": "statechart",
            "viewBox": f"0 0 {width} {height}",
            "role": "group",
            "aria-labelledby": f"{chart.name}-title",
            "aria-describedby": f"{chart.name}-desc",
        },
    )
    SubElement(root, "title", id=f"{chart.name}-title").text = f"State diagram: {chart.title.lower()}"
    SubElement(root, "desc", id=f"{chart.name}-desc").text = "; ".join(map(_sentence, edges))
    marker = {"viewBox": "0 0 10 10", "refX": "9", "refY": "5", "markerWidth": "8", "markerHeight": "8"}
    head = SubElement(SubElement(root, "defs"), "marker", {"id": f"{chart.name}-head", "orient": "auto", **marker})
    SubElement(head, "path", {"d": "M0 0 10 5 0 10z", "class": "head"})
    for name, box in chart.boxes.items():
        if box.members:
            _box(root, box, "frame")
            _text(root, (box.x + 10, box.y + 17), name if not box.label else box.label, "frame-name", "start")
    routes = [(edge, chart.routes.get((edge.source, edge.target)) or _straight(chart, edge)) for edge in edges]
    for edge, route in routes:
        path = "M" + " L".join(f"{x:g} {y:g}" for x, y in route.points)
        kind = "passing" if edge.rules == (TIME,) else "edge"
        SubElement(root, "path", {"d": path, "class": kind, "marker-end": f"url(#{chart.name}-head)"})
    for name, box in chart.boxes.items():
        if not box.members:
            _box(root, box, "state")
            _text(root, (box.x + box.width / 2, box.y + box.height / 2 + 5), name, "state-name", "middle")
    for edge, route in routes:
        _labels(root, edge, route, address)
    indent(root, " ")
    return tostring(root, encoding="unicode")


def _labels(root: Element, edge: Edge, route: Route, address: Callable[[str], str]) -> None:
    x, y = route.label
    for rule in edge.rules:
        if rule == TIME:
            _text(root, (x, y), "time passes", "note", route.anchor)
        else:
            link = SubElement(root, "a", {"href": address(rule)})
            text = _text(link, (x, y), rule, "rule", route.anchor)
            if rule in edge.notes:
                SubElement(text, "tspan", {"class": "note"}).text = f" ({edge.notes[rule]})"
        y += _LINE


def _sentence(edge: Edge) -> str:
    rules = ", ".join("the passing of time" if rule == TIME else rule for rule in edge.rules)
    return f"from {edge.source} to {edge.target}: {rules}"


def _box(root: Element, box: Box, kind: str) -> None:
    place = {"x": f"{box.x:g}", "y": f"{box.y:g}", "width": f"{box.width:g}", "height": f"{box.height:g}"}
    SubElement(root, "rect", {**place, "rx": str(_RADIUS), "class": kind})


def _text(root: Element, at: Point, text: str, kind: str, anchor: str) -> Element:
    place = {"x": f"{at[0]:g}", "y": f"{at[1]:g}", "text-anchor": anchor, "class": kind}
    element = SubElement(root, "text", place)
    element.text = text
    return element


def _straight(chart: Chart, edge: Edge) -> Route:
    """From the middle of one side to that of the nearest one of the other box: for an edge nobody laid out yet."""
    one, other = chart.boxes[edge.source], chart.boxes[edge.target]
    points = min(
        ((start, end) for start in _sides(one) for end in _sides(other) if start != end),
        key=lambda pair: (pair[0][0] - pair[1][0]) ** 2 + (pair[0][1] - pair[1][1]) ** 2,
    )
    (x1, y1), (x2, y2) = points
    return Route(points, ((x1 + x2) / 2, (y1 + y2) / 2 - 6))


def _sides(box: Box) -> list[Point]:
    middle, centre = box.x + box.width / 2, box.y + box.height / 2
    return [(middle, box.y), (middle, box.y + box.height), (box.x, centre), (box.x + box.width, centre)]
