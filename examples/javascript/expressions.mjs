// The expressions of the model: a closed subset of CEL, compiled to closures over an object of names.
// The grammar is in storeproof/spec/model/NOTATION.md; one method per line of it. Nothing here knows rules or effects.

const TOKEN = /\s*(?:(\d+)|([A-Za-z][A-Za-z0-9_]*)|'([^'\\\n]*)'|(==|!=|<=|>=|&&|\|\||[-+!<>?:.,()[\]{}]))/y;
const COMPARISONS = {
  "==": equal,
  "!=": (a, b) => !equal(a, b),
  "<": (a, b) => compare(a, b) < 0,
  "<=": (a, b) => compare(a, b) <= 0,
  ">": (a, b) => compare(a, b) > 0,
  ">=": (a, b) => compare(a, b) >= 0,
  in: (a, items) => items.some((item) => equal(a, item)),
};

/** A function (names) => value of an expression; `functions` are those of functions.json, which may be filled later. */
export function compile(text, functions) {
  const reader = new Reader(text, functions);
  const evaluate = reader.expression();
  if (reader.kind !== "end") reader.fail("the end");
  return evaluate;
}

/** JSON equality: 1 equals 1.0, true does not equal 1, key order is free. */
export function equal(a, b) {
  if (isWhole(a) && isWhole(b)) return a == b; // a number beyond 2^53 is a BigInt, which == compares by value
  if (a === null || b === null || typeof a !== "object" || typeof b !== "object") return a === b;
  if (Array.isArray(a) || Array.isArray(b))
    return Array.isArray(a) && Array.isArray(b) && a.length === b.length && a.every((item, at) => equal(item, b[at]));
  const names = Object.keys(a);
  if (names.length !== Object.keys(b).length) return false;
  return names.every((name) => Object.hasOwn(b, name) && equal(a[name], b[name]));
}

/** Negative, 0 or positive. Strings by code point: JavaScript compares UTF-16 units, and has U+1F600 before U+FF01. */
export function compare(a, b) {
  if (typeof a !== "string") return a < b ? -1 : a > b ? 1 : 0;
  let at = 0;
  while (at < a.length && at < b.length && a[at] === b[at]) at++;
  if (at === a.length || at === b.length) return a.length - b.length;
  if (at > 0 && isHighSurrogate(a.charCodeAt(at - 1))) at--; // they differ inside of a pair
  return a.codePointAt(at) - b.codePointAt(at);
}

const isHighSurrogate = (unit) => unit >= 0xd800 && unit < 0xdc00;
const isWhole = (value) => typeof value === "number" || typeof value === "bigint";

/** A BigInt as the number it is where a double holds it, so that 2^53 and beyond stay exact. */
function whole(big) {
  if (BigInt.asIntN(64, big) !== big) throw new RangeError(`${big} does not fit into 64 bits`);
  return big >= BigInt(Number.MIN_SAFE_INTEGER) && big <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(big) : big;
}

function add(a, b) {
  if (Array.isArray(a)) return [...a, ...b];
  return typeof a === "string" ? a + b : whole(BigInt(a) + BigInt(b));
}

function at(items, index) {
  if (!(index >= 0 && index < items.length)) throw new RangeError(`index ${index} of a list of ${items.length}`);
  return items[index];
}

function toInteger(text) {
  if (!/^-?[0-9]+$/.test(text)) throw new RangeError(`int('${text}'): not a number in decimal`);
  return whole(BigInt(text));
}

const BUILT_IN = {
  size: (value) => (typeof value === "string" ? [...value].length : value.length),
  string: (value) => String(value),
  int: toInteger,
  bytes: (value) => new TextEncoder().encode(value),
};

class Reader {
  constructor(text, functions) {
    this.text = text;
    this.functions = functions;
    this.position = 0;
    this.advance();
  }

  advance() {
    TOKEN.lastIndex = this.position;
    const found = TOKEN.exec(this.text);
    if (found === null) {
      if (this.text.slice(this.position).trim() !== "") this.fail("a word of the language");
      [this.kind, this.value] = ["end", "the end"];
      return;
    }
    const group = found.findIndex((part, number) => number > 0 && part !== undefined);
    this.kind = ["", "integer", "name", "string", "symbol"][group];
    this.value = found[group];
    this.position = TOKEN.lastIndex;
    if (this.kind === "name" && this.value === "in") this.kind = "symbol";
  }

  fail(wanted) {
    throw new SyntaxError(`expected ${wanted}, found ${this.value} before column ${this.position}: ${this.text}`);
  }

  take(...symbols) {
    if (this.kind !== "symbol" || !symbols.includes(this.value)) return null;
    const symbol = this.value;
    this.advance();
    return symbol;
  }

  need(symbol) {
    if (this.take(symbol) === null) this.fail(symbol);
  }

  word(kind) {
    if (this.kind !== kind) this.fail(`a ${kind}`);
    const value = this.value;
    this.advance();
    return value;
  }

  expression() {
    const condition = this.condition();
    if (this.take("?") === null) return condition;
    const then = this.expression();
    this.need(":");
    const otherwise = this.expression();
    return (names) => (condition(names) ? then(names) : otherwise(names));
  }

  condition() {
    const parts = [this.conjunction()];
    while (this.take("||")) parts.push(this.conjunction());
    return parts.length === 1 ? parts[0] : (names) => parts.some((part) => part(names));
  }

  conjunction() {
    const parts = [this.relation()];
    while (this.take("&&")) parts.push(this.relation());
    return parts.length === 1 ? parts[0] : (names) => parts.every((part) => part(names));
  }

  relation() {
    const left = this.sum();
    const operator = this.take(...Object.keys(COMPARISONS));
    if (operator === null) return left;
    const [right, decide] = [this.sum(), COMPARISONS[operator]];
    return (names) => decide(left(names), right(names));
  }

  sum() {
    let sum = this.unary();
    for (let operator; (operator = this.take("+", "-")) !== null; ) {
      const [left, right] = [sum, this.unary()];
      sum = operator === "+" ? (names) => add(left(names), right(names)) : (names) => add(left(names), -right(names));
    }
    return sum;
  }

  unary() {
    const operator = this.take("!", "-");
    const operand = this.postfix();
    if (operator === null) return operand;
    return operator === "!" ? (names) => !operand(names) : (names) => add(0, -operand(names));
  }

  postfix() {
    let value = this.primary();
    for (;;) {
      const of = value;
      if (this.take(".")) {
        const name = this.word("name");
        if (this.take("(")) value = this.quantifier(of, name);
        else value = Object.assign((names) => of(names)[name], { of, field: name });
      } else if (this.take("[")) {
        const index = this.expression();
        this.need("]");
        value = (names) => at(of(names), index(names));
      } else return value;
    }
  }

  quantifier(of, kind) {
    if (kind !== "exists" && kind !== "all") this.fail("exists or all");
    const variable = this.word("name");
    this.need(",");
    const condition = this.expression();
    this.need(")");
    const holds = (names) => (item) => condition({ ...names, [variable]: item });
    return kind === "exists" ? (names) => of(names).some(holds(names)) : (names) => of(names).every(holds(names));
  }

  primary() {
    const value = this.value;
    if (this.kind === "integer") {
      const integer = toInteger(this.word("integer"));
      return () => integer;
    }
    if (this.kind === "string") {
      this.advance();
      return () => value;
    }
    if (this.kind === "name") return this.named(this.word("name"));
    if (this.take("(")) {
      const inner = this.expression();
      this.need(")");
      return inner;
    }
    if (this.take("[")) {
      const items = this.list("]", () => this.expression());
      return (names) => items.map((item) => item(names));
    }
    if (!this.take("{")) this.fail("a value");
    const entries = this.list("}", () => {
      const key = this.word("string");
      this.need(":");
      return [key, this.expression()];
    });
    return (names) => Object.fromEntries(entries.map(([key, item]) => [key, item(names)]));
  }

  named(name) {
    const constants = { true: true, false: false, null: null };
    if (Object.hasOwn(constants, name)) return () => constants[name];
    if (!this.take("(")) return (names) => names[name];
    const given = this.list(")", () => this.expression());
    if (name === "has") {
      const [field] = given; // as in has(run.lease); `postfix` left both halves of it
      return (names) => Object.hasOwn(field.of(names), field.field);
    }
    if (Object.hasOwn(BUILT_IN, name)) return (names) => BUILT_IN[name](given[0](names));
    return (names) => this.functions[name](...given.map((argument) => argument(names)));
  }

  list(end, read) {
    const items = [];
    while (!this.take(end)) {
      if (items.length > 0) this.need(",");
      items.push(read());
    }
    return items;
  }
}
