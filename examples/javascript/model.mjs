// The reference model in JavaScript: the rules are the JSON files of the specification, and this executes them.
// What they mean is in storeproof/spec/model/NOTATION.md; nothing here knows an operation.

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { compare, compile, equal } from "./expressions.mjs";

export class Model {
  /** `folder` holds relations.json, functions.json and operations/. */
  constructor(folder) {
    const read = (...names) => JSON.parse(readFileSync(join(folder, ...names), "utf8"));
    this.relations = read("relations.json");
    this.functions = {};
    for (const [name, { params, value }] of Object.entries(read("functions.json"))) {
      const evaluate = compile(value, this.functions);
      this.functions[name] = (...given) => evaluate(Object.fromEntries(params.map((param, at) => [param, given[at]])));
    }
    this.operations = {};
    for (const file of readdirSync(join(folder, "operations")).sort()) {
      const operation = read("operations", file);
      if (operation.rules.length === 0) continue; // subscribeEvents: promises only
      this.operations[operation.operation] = { shape: operation.arguments, step: this.#operation(operation) };
    }
    this.reset();
  }

  /** An empty store. */
  reset() {
    const tables = Object.entries(this.relations).map(([name, { key }]) => [name, new Table(key)]);
    this.tables = Object.fromEntries(tables);
  }

  /** One call in wire form: { result } or { error: { name, data } }, and { rules }, the ids of those that decided. */
  step(operation, args) {
    return this.operations[operation].step(args);
  }

  #operation(data) {
    const find = this.#finds(data.find);
    const rules = data.rules.map((rule) => this.#rule(rule, { ...data.find, ...data.each?.find }, data.each));
    if (data.each !== undefined) return this.#each(data.each, find, rules);
    return (args) => {
      const names = { args, ...find({ args }) };
      const rule = rules.find((each) => each.when(names));
      return { ...this.#carriedOut(rule, names), rules: [rule.id] };
    };
  }

  /** An operation over rows: all are judged on the state before, those that are taken are sorted and cut. */
  #each(each, find, rules) {
    const [row, table] = [each.row, () => this.tables[each.in]];
    const [prefix, findEach] = [this.#expressions(each.key ?? []), this.#finds(each.find)];
    const [order, ties] = [this.#expressions(each.order?.by ?? []), this.#expressions(each.ties?.by ?? [])];
    const [skip, limit] = [each.skip, each.limit].map((cut) => cut && compile(cut.of, this.functions));
    const [early, late] = [rules.filter((rule) => !rule.overRows), rules.filter((rule) => rule.overRows)];
    return (args) => {
      const outer = { args, ...find({ args }) };
      const refusal = early.find((rule) => rule.when(outer));
      if (refusal !== undefined) return { ...this.#carriedOut(refusal, outer), rules: [refusal.id] };
      const [taken, passed] = [[], []];
      for (const found of table().rows(prefix(outer))) {
        const names = { ...outer, [row]: found };
        Object.assign(names, findEach(names));
        const rule = late.find((one) => one.when(names));
        if (rule.yields) taken.push({ rule, names, order: order(names), ties: ties(names) });
        else passed.push(rule.id);
      }
      taken.sort((a, b) => compareAll(a.order, b.order) || compareAll(a.ties, b.ties));
      const first = skip === undefined ? 0 : Number(skip(outer));
      const end = limit === undefined ? taken.length : first + Number(limit(outer));
      const picked = taken.slice(first, end);
      for (const { rule, names } of picked) this.#effects(rule, names);
      const result = picked.map(({ rule, names }) => rule.answer({ ...names, after: rule.after(names) }));
      return { result, rules: exercised(each, taken, picked, first, passed) };
    };
  }

  #rule(rule, finds, each) {
    const [kind] = ["returns", "raises", "yields"].filter((name) => name in rule);
    const [error] = kind === "raises" ? Object.keys(rule.raises) : [];
    const effects = (rule.effects ?? []).map((effect) => this.#effect(effect));
    return {
      id: rule.id,
      overRows: each !== undefined && kind !== "returns" && kind !== "raises",
      yields: kind === "yields",
      error,
      when: "when" in rule ? compile(rule.when, this.functions) : () => true,
      effects: (names) => effects.flatMap((effect) => effect(names)),
      after: this.#after(JSON.stringify(rule[kind] ?? null), finds, each),
      answer: kind && this.#template(error ? rule.raises[error] : rule[kind]),
    };
  }

  #carriedOut(rule, names) {
    this.#effects(rule, names);
    const value = rule.answer({ ...names, after: rule.after(names) });
    return rule.error ? { error: { name: rule.error, data: value } } : { result: value };
  }

  /** All expressions read the state before; so they are evaluated first, and then everything changes. */
  #effects(rule, names) {
    for (const change of rule.effects(names)) change();
  }

  /** An effect as a function (names) => list of changes to be made. */
  #effect(effect) {
    if ("delete" in effect) {
      const key = this.#expressions(effect.key);
      return (names) => [((prefix) => () => this.tables[effect.delete].delete(prefix))(key(names))];
    }
    if ("update" in effect) {
      const [key, set] = [this.#expressions(effect.key), this.#template(effect.set ?? {})];
      return (names) => {
        const [at, changes] = [key(names), set(names)];
        return [() => this.tables[effect.update].update(at, effect.unset ?? [], changes)];
      };
    }
    const [row, items] = [this.#template(effect.row), effect.forEach && compile(effect.forEach, this.functions)];
    const put = (made) => () => this.tables[effect.put].put(made);
    if (items === undefined) return (names) => [put(row(names))];
    const element = (item, at) => ({ [effect.as]: item, ...(effect.index && { [effect.index]: at }) });
    return (names) => items(names).map((item, at) => put(row({ ...names, ...element(item, at) })));
  }

  /** A function (names) => { name: row } of what an answer reads as `after.name`. */
  #after(answer, finds, each) {
    const key = each && this.relations[each.in].key.map((part) => `${each.row}.${part}`);
    const own = each && { [each.row]: { in: each.in, key } };
    const read = Object.entries({ ...finds, ...own }).filter(([name]) => answer.includes(`after.${name}`));
    return this.#finds(Object.fromEntries(read));
  }

  /** A function (names) => { name: row, null, or list of rows }. */
  #finds(finds = {}) {
    const lookups = Object.entries(finds).map(([name, find]) => {
      const [key, all] = [this.#expressions(find.key), "all" in find];
      const table = () => this.tables[all ? find.all : find.in];
      return [name, (names) => (all ? table().sorted(key(names)) : table().get(key(names)))];
    });
    return (names) => Object.fromEntries(lookups.map(([name, lookup]) => [name, lookup(names)]));
  }

  #expressions(texts) {
    const evaluated = texts.map((text) => compile(text, this.functions));
    return (names) => evaluated.map((evaluate) => evaluate(names));
  }

  /** A template as a function (names) => new value. */
  #template(value) {
    if (typeof value === "string") return value.startsWith("=") ? compile(value.slice(1), this.functions) : () => value;
    if (Array.isArray(value)) {
      const items = value.map((item) => this.#template(item));
      return (names) => items.map((item) => item(names));
    }
    if (value === null || typeof value !== "object") return () => value;
    const parts = Object.entries(value).map(([name, item]) => {
      if (name === "$copy") return this.#copy(item);
      const [made, optional] = [this.#template(item), name.endsWith("?")];
      if (!optional) return (names) => ({ [name]: made(names) });
      return (names) => ((found) => (found === null ? {} : { [name.slice(0, -1)]: found }))(made(names));
    });
    return (names) => Object.assign({}, ...parts.map((part) => part(names)));
  }

  #copy(givers) {
    const copied = Object.entries(givers).map(([text, fields]) => [compile(text, this.functions), fields]);
    return (names) => {
      const entries = copied.flatMap(([evaluate, fields]) => {
        const giver = evaluate(names);
        const present = giver === null ? [] : fields.filter((name) => Object.hasOwn(giver, name));
        return present.map((name) => [name, giver[name]]);
      });
      return Object.fromEntries(entries);
    };
  }
}

/** The rows of a relation, in groups of the same first key part. Rows are never changed, only replaced. */
class Table {
  constructor(key) {
    this.key = key;
    this.groups = new Map();
  }

  get([first, ...rest]) {
    return this.groups.get(first)?.get(JSON.stringify(rest)) ?? null;
  }

  /** The rows whose key begins with `prefix`. */
  rows(prefix) {
    if (prefix.length === 0) return [...this.groups.values()].flatMap((group) => [...group.values()]);
    const group = [...(this.groups.get(prefix[0])?.values() ?? [])];
    return group.filter((row) => prefix.every((part, at) => equal(row[this.key[at]], part)));
  }

  /** The same, ordered by key. */
  sorted(prefix) {
    const keyOf = (row) => this.key.map((part) => row[part]);
    return this.rows(prefix).sort((a, b) => compareAll(keyOf(a), keyOf(b)));
  }

  put(row) {
    const [first, ...rest] = this.key.map((part) => row[part]);
    if (!this.groups.has(first)) this.groups.set(first, new Map());
    this.groups.get(first).set(JSON.stringify(rest), row);
  }

  update(key, unset, changes) {
    const row = this.get(key);
    if (row === null) return;
    const kept = Object.entries(row).filter(([name]) => !unset.includes(name));
    this.put({ ...Object.fromEntries(kept), ...changes });
  }

  delete(prefix) {
    const group = this.groups.get(prefix[0]);
    for (const row of this.rows(prefix)) group.delete(JSON.stringify(this.key.slice(1).map((part) => row[part])));
    if (group?.size === 0) this.groups.delete(prefix[0]);
  }
}

function compareAll(left, right) {
  for (const [at, value] of left.entries()) {
    const order = compare(value, right[at]);
    if (order !== 0) return order;
  }
  return 0;
}

/** Over rows: what yielded, then order, ties, skip and limit where another choice would have been another answer,
 * then the reasons for which rows were passed over. */
function exercised(each, taken, picked, skip, passed) {
  const ids = picked.map(({ rule }) => rule.id);
  const end = skip + picked.length;
  if (picked.length > 0 && taken.length > 1) {
    if (each.order && compareAll(taken[0].order, taken.at(-1).order) !== 0) ids.push(each.order.id);
    const near = taken.slice(Math.max(skip - 1, 0), end + 1);
    const tied = (a, b) => compareAll(a.order, b.order) === 0 && compareAll(a.ties, b.ties) !== 0;
    if (each.ties && near.some((item, at) => at > 0 && tied(near[at - 1], item))) ids.push(each.ties.id);
  }
  ids.push(...taken.slice(0, skip).map(({ rule }) => each.skip?.id ?? rule.id));
  ids.push(...taken.slice(end).map(({ rule }) => each.limit?.id ?? rule.id), ...passed);
  return [...new Set(ids)];
}
