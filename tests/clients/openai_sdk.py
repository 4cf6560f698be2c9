"""The official Python SDK against a gateway: python openai_sdk.py BASE_URL KEY"""
import asyncio
import sys

import openai

base, key = sys.argv[1:3]
client = openai.OpenAI(base_url=base, api_key=key, max_retries=0)


def say(text, **more):
    return client.chat.completions.create(model="openclaw", messages=[{"role": "user", "content": text}], **more)


def expect_error(kind, text, **more):
    try:
        say(text, **more)
    except kind as error:
        return error
    raise AssertionError(f"{text}: no {kind.__name__}")


ids = [model.id for model in client.models.list()]
assert ids[:2] == ["openclaw", "openclaw/default"], ids
assert client.models.retrieve("openclaw/beta").id == "openclaw/beta"

answer = say("hi")
assert answer.choices[0].message.content == "Hello from the double.", answer
assert answer.choices[0].finish_reason == "stop" and answer.usage.total_tokens == 18, answer

text, finish, usage = "", None, None
for chunk in say("hi", stream=True, stream_options={"include_usage": True}):
    if chunk.usage:
        usage = chunk.usage
    for choice in chunk.choices:
        text += choice.delta.content or ""
        finish = choice.finish_reason or finish
assert (text, finish, usage.total_tokens) == ("Hello from the double.", "stop", 18), (text, finish, usage)

with client.chat.completions.stream(model="openclaw", messages=[{"role": "user", "content": "hi"}]) as stream:
    final = stream.get_final_completion()
assert final.choices[0].message.content == "Hello from the double.", final

tools = [{"type": "function", "function": {"name": "lookup", "parameters": {"type": "object", "properties": {}}}}]
called = say("[[tool:lookup]]", tools=tools)
call = called.choices[0].message.tool_calls[0]
assert called.choices[0].finish_reason == "tool_calls" and call.function.name == "lookup", called

assert expect_error(openai.NotFoundError, "x", extra_headers={"x-openclaw-agent-id": "ghost"}).code == "model_not_found"
assert expect_error(openai.RateLimitError, "[[status:429]]").response.headers["retry-after"]
assert expect_error(openai.InternalServerError, "[[status:401]]").status_code == 502
expect_error(openai.BadRequestError, "x", tools=[{"type": "function"}])
try:
    for _ in say("[[cut]]", stream=True):
        pass
    raise AssertionError("a cut stream raised nothing")
except openai.APIError:
    pass
try:
    openai.OpenAI(base_url=base, api_key="wrong", max_retries=0).models.list()
    raise AssertionError("a wrong key was accepted")
except openai.AuthenticationError:
    pass


async def many():
    async with openai.AsyncOpenAI(base_url=base, api_key=key, max_retries=0) as many_client:
        async def one(number):
            text = ""
            stream = await many_client.chat.completions.create(
                model="openclaw", stream=True, messages=[{"role": "user", "content": f"[[say:<{number}>]]"}])
            async for chunk in stream:
                for choice in chunk.choices:
                    text += choice.delta.content or ""
            assert text == f"<{number}>", text
        await asyncio.gather(*(one(number) for number in range(30)))

asyncio.run(many())
print("all good")
