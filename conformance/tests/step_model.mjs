// Steps the JavaScript model for test_javascript.py: {"op", "args"} or {"reset"} a line in, the outcome and rules out.
import { readFileSync, writeSync } from "node:fs";

const [module, folder] = process.argv.slice(2);
const { Model } = await import(module);
const model = new Model(folder);
const answers = [];
for (const line of readFileSync(0, "utf8").split("\n").slice(0, -1)) {
  const { reset, op, args } = JSON.parse(line);
  if (reset) model.reset();
  else answers.push(JSON.stringify(model.step(op, args)));
}
const text = Buffer.from(answers.map((answer) => `${answer}\n`).join(""));
for (let at = 0; at < text.length; ) at += writeSync(1, text, at);
