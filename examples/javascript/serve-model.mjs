// Offers the model as a store over the wire protocol (docs/wire.md): JSON-RPC 2.0, one message a line, over stdio.
//
//     node serve-model.mjs [--model DIR]
//
// DIR is the folder of the model files, another one than the specification's own for a store that is wrong on purpose.

import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { Model } from "./model.mjs";
import { problem } from "./schema.mjs";

const HERE = dirname(fileURLToPath(import.meta.url));
const SPECIFICATION = join(HERE, "..", "..", "spec", "storeproof", "spec");
const REVISION = "1";
const PROTOCOL = 1;

const [option, folder] = process.argv.slice(2);
if (option !== undefined && (option !== "--model" || !existsSync(join(folder ?? "", "relations.json")))) {
  console.error("node serve-model.mjs [--model DIR]: DIR holds relations.json, functions.json and operations/");
  process.exit(2);
}
const shapes = JSON.parse(readFileSync(join(SPECIFICATION, "schema", "contract.schema.json"), "utf8"));
const model = new Model(folder ?? join(SPECIFICATION, "model"));
const subscriptions = new Map();

class Refusal extends Error {
  constructor(field, says) {
    super(`${field} ${says}`);
    this.answer = { code: -32602, message: this.message, data: { name: "InvalidArgument", field } };
  }
}

const CONTROL = {
  initialize({ protocol }) {
    if (protocol !== PROTOCOL) throw new Refusal("protocol", `is not ${PROTOCOL}`);
    const about = { name: "the model in JavaScript", version: "1", specRevision: REVISION };
    return { protocol, ...about, capabilities: ["subscribe"], subscribeDelayMs: 0 };
  },
  reset() {
    model.reset();
    subscriptions.clear();
    return null;
  },
  subscribe({ subscription, ...args }) {
    check("SubscribeEventsArguments", args);
    if (subscriptions.has(subscription)) throw new Refusal("subscription", "is in use");
    subscriptions.set(subscription, { runId: args.runId, next: args.fromIndex });
    return null; // the events that are there follow the answer
  },
  unsubscribe({ subscription }) {
    subscriptions.delete(subscription);
    return null;
  },
  shutdown: () => null, // nothing is in flight: every request is answered as it is read
};

function check(shape, args) {
  const found = problem(shapes.$defs[shape], args, "", shapes);
  if (found !== null) throw new Refusal(found.path || "arguments", found.says);
}

function call(operation, args) {
  check(model.operations[operation].shape, args);
  const { result, error } = model.step(operation, args);
  if (operation === "appendEvents") publish(); // before the answer: the delay that `initialize` states is none
  if (error === undefined) return result;
  if (error.name === "InvalidArgument") throw new Refusal(error.data.fields[0], "is refused by a rule");
  const conflict = { code: -32001, message: "the log does not end there", data: { name: error.name, ...error.data } };
  throw Object.assign(new Error(error.name), { answer: conflict });
}

/** Gives every subscription what was appended for it. */
function publish() {
  for (const [subscription, feed] of subscriptions) {
    const { result } = model.step("readEvents", { runId: feed.runId, fromIndex: feed.next });
    for (const { eventIndex, event } of result) {
      send({ method: "event", params: { subscription, eventIndex, event } });
      feed.next = eventIndex + 1;
    }
  }
}

function answer(line) {
  let request;
  try {
    request = JSON.parse(exactNumbers(line));
  } catch (error) {
    return send({ id: null, error: { code: -32700, message: error.message } });
  }
  const { id, method, params = {} } = request ?? {};
  if (typeof method !== "string" || id === undefined || typeof params !== "object")
    return send({ id: null, error: { code: -32600, message: "no request" } });
  try {
    if (Object.hasOwn(CONTROL, method)) send({ id, result: CONTROL[method](params) });
    else if (Object.hasOwn(model.operations, method)) send({ id, result: call(method, params) });
    else send({ id, error: { code: -32601, message: `no operation ${method}` } });
  } catch (error) {
    send({ id, error: error.answer ?? { code: -32603, message: String(error) } });
  }
  if (method === "subscribe") publish();
  if (method === "shutdown") process.stdin.destroy();
}

/** JSON.parse rounds an integer that no double holds. The contract has it refused: it becomes an infinity, which is. */
function exactNumbers(line) {
  return line.replace(/"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?/g, (token) => {
    const [integer, double] = [/^-?\d+$/.test(token), Number(token)];
    return integer && Number.isFinite(double) && BigInt(token) !== BigInt(double) ? "1e999" : token;
  });
}

function send(message) {
  process.stdout.write(`${JSON.stringify({ jsonrpc: "2.0", ...message })}\n`);
}

let rest = "";
process.stdin.setEncoding("utf8");
process.stdin.on("data", (text) => {
  const lines = (rest + text).split("\n"); // not node:readline, to which U+2028 ends a line
  rest = lines.pop();
  for (const line of lines) if (line.trim() !== "") answer(line);
});
