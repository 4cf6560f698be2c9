// What the scripts share: the SDK, and a view of the scripted model provider behind the gateway. CLIENT_MODULES is where the
// packages are; OPENAI_BASE_URL and OPENAI_API_KEY lead to the gateway (the SDK reads them); DOUBLE_URL to the provider.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { setTimeout as pause } from "node:timers/promises";
import { pathToFileURL } from "node:url";

const require = createRequire(`${process.env.CLIENT_MODULES}/`);
const load = (name) => import(pathToFileURL(require.resolve(name)).href);
export const { default: OpenAI } = await load("openai");
export const { z: zod } = await load("zod");
export const { zodResponseFormat, zodTextFormat, zodFunction } = await load("openai/helpers/zod");

export const MODEL = "openclaw";
export const HELLO = "Hello from the double.";
export const client = new OpenAI({ maxRetries: 0, timeout: 20_000 });

const control = (path, options) => fetch(process.env.DOUBLE_URL + path, options);

// Lets the provider send the next token of a [[steps:N]] answer.
export const confirm = () => control("/control/confirm", { method: "POST" });

// The newest request body that the provider got.
export const lastRequest = async () => (await control("/control/last")).json();

// Waits until the provider writes no answer.
export async function released(seconds) {
  const end = performance.now() + seconds * 1000;
  while ((await (await control("/control/open")).text()) !== "0") {
    assert.ok(performance.now() < end, `the provider still works after ${seconds} s`);
    await pause(10);
  }
}
