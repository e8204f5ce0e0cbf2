// Runs the recorded vectors on a store in any language that speaks the wire protocol. Node, and nothing else.
//
//     node run-vectors.mjs [--vectors DIR] COMMAND [ARGUMENT]...
//
// Exit codes: 0 all answers are the recorded ones, 1 some are not, 2 usage, 3 cannot tell.

import { spawn } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const LIMIT_MS = 10_000;

let store;
const options = process.argv.slice(2);
const here = fileURLToPath(new URL("../../spec/storeproof/spec/vectors", import.meta.url));
const folder = options[0] === "--vectors" ? options.splice(0, 2)[1] : here;
const [command, ...args] = options;
const files = command === undefined ? [] : vectorFiles(folder);
if (files.length === 0) leave(2, "node run-vectors.mjs [--vectors DIR] COMMAND [ARGUMENT]...; DIR holds *.ndjson");

store = spawn(command, args, { stdio: ["pipe", "pipe", "inherit"] });
const waiting = new Map();
let [lastId, leaving, rest] = [0, false, ""];
store.on("error", (error) => leave(3, `${command} does not start: ${error.message}`));
store.on("exit", (code, signal) => leaving || leave(3, `the store ended in mid-run with ${signal ?? code}`));
store.stdin.on("error", () => {}); // it ended, which is told above
store.stdout.setEncoding("utf8").on("data", (text) => {
  const lines = (rest + text).split("\n"); // not node:readline, to which U+2028 ends a line
  rest = lines.pop();
  for (const line of lines) receive(line);
});

const initialized = await call("initialize", { protocol: 1 });
if (initialized.error) leave(3, `initialize: ${JSON.stringify(initialized.error)}`);
const failed = [];
let lines = 0;
for (const file of files) {
  const [header, ...entries] = readFileSync(join(folder, file), "utf8").trimEnd().split("\n").map(JSON.parse);
  if (header.format !== "storeproof-vector/1") leave(3, `${file} has the unknown format ${header.format}`);
  const reset = await call("reset", {});
  if (reset.error) leave(3, `reset: ${JSON.stringify(reset.error)}`);
  for (const [at, entry] of entries.entries()) {
    lines++;
    const actual = await call(entry.op, entry.args);
    if (isRight(entry, actual)) continue;
    console.log(`${file}, line ${at + 2}: ${entry.op} ${JSON.stringify(entry.args)}`);
    console.log(`  rules     ${entry.rules.join(", ")}`);
    console.log(`  expected  ${JSON.stringify(entry.error ?? entry.result)}`);
    console.log(`  actual    ${JSON.stringify(actual.error ?? actual.result)}`);
    failed.push(file);
    break; // whatever comes after may only be wrong because of it
  }
}
await call("shutdown", {});
const passed = files.length - failed.length;
leave(failed.length > 0 ? 1 : 0, `${passed} of ${files.length} vectors passed, ${lines} calls`);

/** One request and its answer, { result } or { error }. */
function call(method, params) {
  const id = ++lastId;
  leaving = method === "shutdown";
  store.stdin.write(`${JSON.stringify({ jsonrpc: "2.0", id, method, params })}\n`);
  return new Promise((answered) => {
    const timer = setTimeout(() => leave(3, `${method}: no answer within ${LIMIT_MS} ms`), LIMIT_MS);
    waiting.set(id, { answered, timer });
  });
}

function receive(line) {
  let message;
  try {
    message = JSON.parse(line);
  } catch {
    leave(3, `the store wrote a line that is no JSON: ${line.slice(0, 200)}`);
  }
  if (message.method !== undefined) return; // a notification
  const request = waiting.get(message.id);
  if (!request || !("result" in message || "error" in message)) leave(3, `no answer: ${line.slice(0, 200)}`);
  waiting.delete(message.id);
  clearTimeout(request.timer);
  request.answered(message);
}

function isRight(entry, actual) {
  if (entry.error === undefined) return actual.error === undefined && equal(entry.result, actual.result);
  const { name, ...data } = actual.error?.data ?? {};
  if (name !== entry.error.name) return false;
  if (name !== "InvalidArgument") return equal(entry.error.data, data);
  return entry.error.data.fields.includes(String(data.field).split(/[.[]/)[0]); // events[1].type blames events
}

/** JSON equality: numbers as doubles, key order free, absent is not null. */
function equal(a, b) {
  if (a === null || b === null || typeof a !== "object" || typeof b !== "object") return a === b;
  const names = Object.keys(a);
  if (Array.isArray(a) !== Array.isArray(b) || names.length !== Object.keys(b).length) return false;
  return names.every((name) => Object.hasOwn(b, name) && equal(a[name], b[name]));
}

function vectorFiles(from) {
  try {
    return readdirSync(from).filter((name) => name.endsWith(".ndjson")).sort();
  } catch {
    return [];
  }
}

function leave(code, said) {
  (code < 2 ? console.log : console.error)(said);
  store?.kill();
  process.exit(code);
}
