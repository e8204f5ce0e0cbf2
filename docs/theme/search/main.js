// The search of the site, in place of the theme's: that one fetches its index in a worker, which no browser allows on
// a page that was opened from a file. Here lunr and the index are scripts, loaded when somebody looks for something.
document.addEventListener("DOMContentLoaded", function () {
  "use strict";
  var most = 30;
  var field = document.getElementById("mkdocs-search-query");
  var list = document.getElementById("mkdocs-search-results");
  var loading = null;
  var index = null;
  var documents = {};

  function script(path) {
    return new Promise(function (done, failed) {
      var element = document.createElement("script");
      element.src = base_url + "/" + path;
      element.onload = done;
      element.onerror = failed;
      document.head.appendChild(element);
    });
  }

  function load() {
    loading = loading || script("search/lunr.js").then(function () { return script("search/search_index.js"); }).then(build);
    return loading;
  }

  function build() {
    var data = window.searchIndex;
    lunr.tokenizer.separator = new RegExp(data.config.separator);
    index = lunr(function () {
      this.ref("location");
      this.field("title", { boost: 10 });
      this.field("text");
      data.docs.forEach(function (entry) {
        documents[entry.location] = entry;
        this.add(entry);
      }, this);
    });
  }

  // Words, not lunr's query language: in that, the colon of an id would be an error.
  function found(words) {
    var terms = lunr.tokenizer(words);
    var results = index.query(function (query) {
      terms.forEach(function (term) {
        query.term(term.toString(), { usePipeline: true, boost: 10 });
        query.term(term.toString(), { usePipeline: false, boost: 1, wildcard: lunr.Query.wildcard.TRAILING });
      });
    });
    var entries = results.map(function (result) { return documents[result.ref]; });
    var named = function (entry) { return entry.title.toLowerCase() === words.toLowerCase(); };
    return entries.filter(named).concat(entries.filter(function (entry) { return !named(entry); }));
  }

  function item(entry) {
    var element = document.createElement("li");
    var link = document.createElement("a");
    link.href = base_url + "/" + entry.location;
    link.textContent = entry.title;
    var text = document.createElement("p");
    text.textContent = entry.text.slice(0, 200);
    element.append(link, text);
    return element;
  }

  function search() {
    var words = field.value.trim();
    if (!words) {
      list.replaceChildren();
      return;
    }
    load().then(function () {
      if (words !== field.value.trim()) return;
      var entries = found(words).slice(0, most);
      var items = document.createElement("ul");
      items.append.apply(items, entries.map(item));
      var none = document.createElement("p");
      none.textContent = list.dataset.noResultsText || "No results found";
      list.replaceChildren(entries.length ? items : none);
    });
  }

  list.setAttribute("aria-live", "polite");
  field.addEventListener("input", search);
  field.addEventListener("focus", load);
  field.form.addEventListener("submit", function (event) {
    event.preventDefault();
    var first = list.querySelector("a");
    if (first) window.location.href = first.href;
  });
  var asked = new URLSearchParams(window.location.search).get("q");
  if (asked) {
    field.value = asked;
    search();
  }
});
