// The Responses API with the official Node SDK.
import assert from "node:assert/strict";
import { HELLO, MODEL, OpenAI, client, confirm, lastRequest, released, zod, zodTextFormat } from "./double.mjs";

const ask = (input, more = {}) => client.responses.create({ model: MODEL, input, ...more });
const LOOKUP = {
  type: "function",
  name: "lookup",
  strict: true,
  parameters: { type: "object", properties: { a: { type: "integer" } }, required: ["a"], additionalProperties: false },
};
const Trip = zod.object({ city: zod.string(), days: zod.number() });
const TRIP = '{"city":"Lisbon","days":3}';

const first = await ask("hi");
assert.equal(first.output_text, HELLO);
assert.equal(first.usage.total_tokens, 18);
assert.equal((await client.responses.retrieve(first.id)).output_text, HELLO);
const items = [];
for await (const item of client.responses.inputItems.list(first.id)) items.push(item);
assert.equal(items.length, 1);
assert.equal((await ask("more", { previous_response_id: first.id })).output_text, HELLO);
assert.equal((await lastRequest()).messages.filter((message) => message.role === "user").length, 2);
await client.responses.delete(first.id);
await assert.rejects(client.responses.retrieve(first.id), OpenAI.NotFoundError);

await confirm();
const seen = [];
for await (const event of await ask("[[steps:4]]", { stream: true }))
  if (event.type === "response.output_text.delta") {
    seen.push(event.delta);
    await confirm();
  }
assert.deepEqual(seen, ["t0 ", "t1 ", "t2 ", "t3 "]);

const stream = client.responses.stream({ model: MODEL, input: "hi" });
let text = "";
stream.on("response.output_text.delta", (event) => (text += event.delta));
assert.equal((await stream.finalResponse()).output_text, HELLO);
assert.equal(text, HELLO);

const called = await ask("[[tool:lookup]]", { tools: [LOOKUP], tool_choice: "required" });
const call = called.output.find((item) => item.type === "function_call");
assert.deepEqual([call.name, call.arguments], ["lookup", '{"a":1}']);
const output = [{ type: "function_call_output", call_id: call.call_id, output: "42" }];
assert.equal((await ask(output, { previous_response_id: called.id, tools: [LOOKUP] })).output_text, HELLO);

const format = { format: zodTextFormat(Trip, "trip") };
assert.deepEqual((await client.responses.parse({ model: MODEL, input: `[[say:${TRIP}]]`, text: format })).output_parsed, JSON.parse(TRIP));

await assert.rejects(ask("[[cut]]"), OpenAI.APIError);
let last;
for await (const event of await ask("[[cut]]", { stream: true })) last = event;
assert.equal(last.type, "response.failed");
await assert.rejects(ask("[[status:429]]"), OpenAI.RateLimitError);

for await (const event of await ask("[[stall]]", { stream: true })) if (event.type === "response.output_text.delta") break;
await released(1);
console.log("all good");
