// Chat completions with the official Node SDK: streams, stream helpers, tool runner, structured outputs.
import assert from "node:assert/strict";
import { HELLO, MODEL, OpenAI, client, confirm, lastRequest, released, zod, zodFunction, zodResponseFormat } from "./double.mjs";

const user = (content) => [{ role: "user", content }];
const say = (content, more = {}, options = {}) =>
  client.chat.completions.create({ model: MODEL, messages: user(content), ...more }, options);
const LOOKUP = {
  type: "function",
  function: { name: "lookup", parameters: { type: "object", properties: { a: { type: "integer" } }, required: ["a"] } },
};
const Trip = zod.object({ city: zod.string(), days: zod.number() });
const TRIP = '{"city":"Lisbon","days":3}';

async function models() {
  const ids = (await client.models.list()).data.map((model) => model.id);
  assert.deepEqual(ids.slice(0, 2), ["openclaw", "openclaw/default"]);
  await assert.rejects(client.models.retrieve("gpt-4o"), OpenAI.NotFoundError);
}

async function whole() {
  const { data, response } = await say("hi", { temperature: 0.5, seed: 7 }).withResponse();
  assert.equal(data.choices[0].message.content, HELLO);
  assert.equal(data.usage.total_tokens, 18);
  assert.ok(response.headers.get("x-request-id"));
  const sent = await lastRequest();
  assert.deepEqual([sent.temperature, sent.seed], [0.5, 7]);
}

async function streamed() {
  let text = "";
  for await (const chunk of await say("hi", { stream: true })) text += chunk.choices[0]?.delta?.content ?? "";
  assert.equal(text, HELLO);
}

// The provider sends a token only after the one before it was seen here.
async function tokenByToken() {
  await confirm();
  const seen = [];
  for await (const chunk of await say("[[steps:5]]", { stream: true })) {
    const text = chunk.choices[0]?.delta?.content;
    if (text) {
      seen.push(text);
      await confirm();
    }
  }
  assert.deepEqual(seen, ["t0 ", "t1 ", "t2 ", "t3 ", "t4 "]);
}

async function streamHelper() {
  const stream = client.chat.completions.stream({ model: MODEL, messages: user("hi"), stream_options: { include_usage: true } });
  let text = "";
  stream.on("content", (delta) => (text += delta));
  const final = await stream.finalChatCompletion();
  assert.equal(text, HELLO);
  assert.equal(final.usage.total_tokens, 18);
}

async function toolRunner() {
  for (const stream of [false, true]) {
    const called = [];
    const runner = client.chat.completions.runTools({
      model: MODEL,
      stream,
      messages: user("[[tool:lookup]]"),
      tools: [zodFunction({ name: "lookup", parameters: zod.object({ a: zod.number() }), function: ({ a }) => (called.push(a), "42") })],
    });
    assert.equal(await runner.finalContent(), HELLO);
    assert.deepEqual(called, [1]);
    assert.equal((await lastRequest()).messages.at(-1).content, "42");
  }
  const forced = await say("[[tool:lookup]]", { tools: [LOOKUP], tool_choice: { type: "function", function: { name: "lookup" } } });
  assert.equal(forced.choices[0].finish_reason, "tool_calls");
  assert.equal(forced.choices[0].message.tool_calls[0].function.name, "lookup");
}

async function structured() {
  const format = zodResponseFormat(Trip, "trip");
  const parsed = await client.chat.completions.parse({ model: MODEL, messages: user(`[[say:${TRIP}]]`), response_format: format });
  assert.deepEqual(parsed.choices[0].message.parsed, { city: "Lisbon", days: 3 });
  assert.equal((await lastRequest()).response_format.json_schema.name, "trip");
  const stream = client.chat.completions.stream({ model: MODEL, messages: user(`[[say:${TRIP}]]`), response_format: format });
  assert.equal((await stream.finalChatCompletion()).choices[0].message.parsed.days, 3);
}

async function errors() {
  await assert.rejects(
    say("x", {}, { headers: { "x-openclaw-agent-id": "ghost" } }),
    (error) => error.status === 404 && error.code === "model_not_found",
  );
  await assert.rejects(say("[[status:429]]"), OpenAI.RateLimitError);
  await assert.rejects(say("[[status:401]]"), (error) => error.status === 502);
  await assert.rejects(new OpenAI({ apiKey: "wrong", maxRetries: 0 }).models.list(), OpenAI.AuthenticationError);
}

async function killedProvider() {
  await assert.rejects(say("[[cut]]"), OpenAI.APIError);
  let text = "";
  await assert.rejects(async () => {
    for await (const chunk of await say("[[cut]]", { stream: true })) text += chunk.choices[0]?.delta?.content ?? "";
  }, OpenAI.APIError);
  assert.equal(text, "half of the answer");
  await assert.rejects(client.chat.completions.stream({ model: MODEL, messages: user("[[cut]]") }).finalChatCompletion());
}

async function leaving() {
  for await (const chunk of await say("[[stall]]", { stream: true })) if (chunk.choices[0]?.delta?.content) break;
  await released(1);
  const controller = new AbortController();
  const stream = client.chat.completions.stream({ model: MODEL, messages: user("[[stall]]") }, { signal: controller.signal });
  stream.on("content", () => controller.abort());
  await assert.rejects(stream.finalChatCompletion(), OpenAI.APIUserAbortError);
  await released(1);
}

async function atOnce() {
  const one = async (number) => {
    let text = "";
    for await (const chunk of await say(`[[together:50:n${number}]]`, { stream: true })) text += chunk.choices[0]?.delta?.content ?? "";
    assert.equal(text, [0, 1, 2, 3, 4].map((piece) => `n${number}.${piece} `).join(""));
  };
  await Promise.all(Array.from({ length: 50 }, (_, number) => one(number)));
}

for (const check of [models, whole, streamed, tokenByToken, streamHelper, toolRunner, structured, errors, killedProvider, leaving, atOnce])
  await check();
console.log("all good");
