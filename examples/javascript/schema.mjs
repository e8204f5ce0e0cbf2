// JSON Schema, as far as contract.schema.json uses it, with its two formats `id` and `double`.

const encoder = new TextEncoder();
const isObject = (value) => value !== null && typeof value === "object" && !Array.isArray(value);
const TYPES = {
  null: (value) => value === null,
  boolean: (value) => typeof value === "boolean",
  integer: Number.isInteger, // 5.0 is the integer 5
  number: (value) => typeof value === "number",
  string: (value) => typeof value === "string",
  array: Array.isArray,
  object: isObject,
};
const FORMATS = {
  id: (value) => typeof value !== "string" || encoder.encode(value).length <= 1024,
  double: (value) => typeof value !== "number" || Number.isFinite(value),
};
const KEYWORDS = {
  $ref: (schema, value, path, root) => problem(root.$defs[schema.$ref.split("/").at(-1)], value, path, root),
  type: ({ type }, value, path) => [type].flat().some((name) => TYPES[name](value)) || { path, says: `is no ${type}` },
  enum: (schema, value, path) => schema.enum.includes(value) || { path, says: `is none of ${schema.enum.join(", ")}` },
  const: (schema, value, path) => schema.const === value || { path, says: `is not ${schema.const}` },
  minimum: ({ minimum }, value, path) => !(value < minimum) || { path, says: `is less than ${minimum}` },
  maximum: ({ maximum }, value, path) => !(value > maximum) || { path, says: `is more than ${maximum}` },
  minLength: ({ minLength }, value, path) => !(lengthOf(value) < minLength) || { path, says: "is too short" },
  maxLength: ({ maxLength }, value, path) => !(lengthOf(value) > maxLength) || { path, says: "is too long" },
  pattern: ({ pattern }, value, path) =>
    typeof value !== "string" || new RegExp(pattern, "u").test(value) || { path, says: "holds what it must not" },
  format: ({ format }, value, path) => FORMATS[format](value) || { path, says: `has not the format ${format}` },
  not: (schema, value, path, root) => problem(schema.not, value, path, root) === null && { path, says: "is refused" },
  oneOf: (schema, value, path, root) =>
    schema.oneOf.filter((one) => !problem(one, value, path, root)).length === 1 || { path, says: "has no known shape" },
  items: (schema, value, path, root) =>
    Array.isArray(value) && first(value.entries(), ([at, item]) => problem(schema.items, item, `${path}[${at}]`, root)),
  required: ({ required }, value, path) =>
    isObject(value) &&
    first(required, (name) => !Object.hasOwn(value, name) && { path: joined(path, name), says: "is missing" }),
  properties: ({ properties }, value, path, root) =>
    isObject(value) &&
    first(Object.entries(properties), ([name, schema]) => {
      return Object.hasOwn(value, name) && problem(schema, value[name], joined(path, name), root);
    }),
  propertyNames: (schema, value, path, root) =>
    isObject(value) &&
    first(Object.keys(value), (name) => problem(schema.propertyNames, name, joined(path, name), root)),
  additionalProperties: (schema, value, path, root) => {
    const known = schema.properties ?? {};
    const further = isObject(value) ? Object.keys(value).filter((name) => !Object.hasOwn(known, name)) : [];
    return first(further, (name) => {
      if (schema.additionalProperties === false) return { path: joined(path, name), says: "is no known field" };
      return problem(schema.additionalProperties, value[name], joined(path, name), root);
    });
  },
};
const SILENT = new Set(["title", "description", "$comment"]);

/** The first thing wrong with a value, { path, says }, or null; `root` is the whole schema, for its $defs. */
export function problem(schema, value, path, root) {
  return first(Object.keys(schema), (keyword) => {
    if (SILENT.has(keyword)) return null;
    if (!Object.hasOwn(KEYWORDS, keyword)) throw new Error(`this validator does not know the keyword ${keyword}`);
    return KEYWORDS[keyword](schema, value, path, root);
  });
}

/** The first problem that `find` answers; anything that is no object is none. */
function first(items, find) {
  for (const item of items) {
    const found = find(item);
    if (isObject(found)) return found;
  }
  return null;
}

const lengthOf = (value) => (typeof value === "string" ? [...value].length : NaN);
const joined = (path, name) => (path === "" ? name : `${path}.${name}`);
