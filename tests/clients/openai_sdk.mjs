// The official Node SDK against a gateway: node openai_sdk.mjs BASE_URL KEY
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import assert from "node:assert/strict";

const require = createRequire(`${process.env.CLIENT_MODULES}/`);
const { default: OpenAI } = await import(pathToFileURL(require.resolve("openai")).href);
const [baseURL, apiKey] = process.argv.slice(2);
const client = new OpenAI({ baseURL, apiKey, maxRetries: 0 });
const say = (content, more = {}, options = {}) =>
  client.chat.completions.create({ model: "openclaw", messages: [{ role: "user", content }], ...more }, options);

const ids = (await client.models.list()).data.map((model) => model.id);
assert.deepEqual(ids.slice(0, 2), ["openclaw", "openclaw/default"]);

const answer = await say("hi");
assert.equal(answer.choices[0].message.content, "Hello from the double.");
assert.equal(answer.usage.total_tokens, 18);

let text = "";
for await (const chunk of await say("hi", { stream: true })) text += chunk.choices[0]?.delta?.content ?? "";
assert.equal(text, "Hello from the double.");

const tools = [{ type: "function", function: { name: "lookup", parameters: { type: "object", properties: {} } } }];
const called = await say("[[tool:lookup]]", { tools });
assert.equal(called.choices[0].finish_reason, "tool_calls");
assert.equal(called.choices[0].message.tool_calls[0].function.name, "lookup");

await assert.rejects(say("x", {}, { headers: { "x-openclaw-agent-id": "ghost" } }), (error) => error.status === 404 && error.code === "model_not_found");
await assert.rejects(say("[[status:429]]"), (error) => error.status === 429);
await assert.rejects(say("[[status:401]]"), (error) => error.status === 502);
await assert.rejects(async () => { for await (const _ of await say("[[cut]]", { stream: true })); });
console.log("all good");
