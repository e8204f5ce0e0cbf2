// What is wider than the page scrolls by itself, and can be reached by the keyboard.
(function () {
  "use strict";
  function reachable(element, name) {
    if (element.scrollWidth <= element.clientWidth) return;
    element.tabIndex = 0;
    element.setAttribute("role", "region");
    element.setAttribute("aria-label", name);
  }
  document.querySelectorAll("[role=main] table").forEach(function (table) {
    var frame = document.createElement("div");
    frame.className = "wide";
    table.replaceWith(frame);
    frame.append(table);
    reachable(frame, "Table");
  });
  document.querySelectorAll("[role=main] pre").forEach(function (block) { reachable(block, "Code"); });
  document.querySelectorAll("figure.diagram").forEach(function (figure) { reachable(figure, "Diagram"); });
  // Tables have got their classes and frames by now, so what the address names has moved.
  window.addEventListener("load", function () {
    var named = document.getElementById(decodeURIComponent(window.location.hash.slice(1)));
    if (named) named.scrollIntoView();
  });
})();
