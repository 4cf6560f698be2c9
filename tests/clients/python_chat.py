"""Chat completions with the official Python SDK: sync, async, streams, stream helpers, tools, structured outputs."""
import asyncio
import json

import openai
from pydantic import BaseModel

from double import HELLO, MODEL, confirm, last_request, raises, released

client = openai.OpenAI(max_retries=0, timeout=20)
LOOKUP = {"type": "function", "function": {"name": "lookup", "description": "Looks a up", "parameters": {
    "type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"], "additionalProperties": False}}}


class Trip(BaseModel):
    city: str
    days: int


TRIP = '{"city":"Lisbon","days":3}'


def user(text):
    return [{"role": "user", "content": text}]


def say(text, **more):
    return client.chat.completions.create(model=MODEL, messages=user(text), **more)


def models():
    ids = [model.id for model in client.models.list()]
    assert ids[:2] == ["openclaw", "openclaw/default"], ids
    assert client.models.retrieve("openclaw/beta").id == "openclaw/beta"
    with raises(openai.NotFoundError):
        client.models.retrieve("gpt-4o")


def whole():
    answer = say("hi", temperature=0.5, top_p=0.9, max_completion_tokens=50, seed=7, stop=["END"], user=openai.NOT_GIVEN)
    assert answer.choices[0].message.content == HELLO, answer
    assert answer.choices[0].finish_reason == "stop" and answer.usage.total_tokens == 18, answer
    sent = last_request()
    assert (sent["temperature"], sent["top_p"], sent["seed"], sent["stop"]) == (0.5, 0.9, 7, ["END"]), sent
    assert say("[[length]]").choices[0].finish_reason == "length"
    raw = client.chat.completions.with_raw_response.create(model=MODEL, messages=user("hi"))
    assert raw.headers["x-request-id"] and raw.parse().choices[0].message.content == HELLO
    parts = [{"type": "text", "text": "what is "}, {"type": "text", "text": "this"}]
    assert say(parts).choices[0].message.content == HELLO


def streamed():
    text, finish, usage = "", None, None
    for chunk in say("hi", stream=True, stream_options={"include_usage": True}):
        usage = chunk.usage or usage
        for choice in chunk.choices:
            text += choice.delta.content or ""
            finish = choice.finish_reason or finish
    assert (text, finish, usage.total_tokens) == (HELLO, "stop", 18), (text, finish, usage)


def token_by_token():
    """The provider sends a token only after the one before it was seen here: nothing on the way holds any back."""
    confirm()
    seen = []
    for chunk in say("[[steps:5]]", stream=True):
        if chunk.choices and chunk.choices[0].delta.content:
            seen.append(chunk.choices[0].delta.content)
            confirm()
    assert "".join(seen) == "t0 t1 t2 t3 t4 " and len(seen) == 5, seen


def stream_helper():
    kinds = []
    with client.chat.completions.stream(model=MODEL, messages=user("hi"), stream_options={"include_usage": True}) as stream:
        kinds = [event.type for event in stream]
        final = stream.get_final_completion()
    assert "content.delta" in kinds and "content.done" in kinds, kinds
    assert final.choices[0].message.content == HELLO and final.usage.total_tokens == 18, final

    with client.chat.completions.stream(model=MODEL, messages=user("[[tool:lookup]]"), tools=[LOOKUP]) as stream:
        done = [event for event in stream if event.type == "tool_calls.function.arguments.done"]
        final = stream.get_final_completion()
    assert [(event.name, event.arguments) for event in done] == [("lookup", '{"a":1}')], done
    assert final.choices[0].finish_reason == "tool_calls"


def tools():
    for choice in ("auto", "required", {"type": "function", "function": {"name": "lookup"}}):
        called = say("[[tool:lookup]]", tools=[LOOKUP], tool_choice=choice, parallel_tool_calls=False)
        assert called.choices[0].finish_reason == "tool_calls", called
        assert last_request().get("tool_choice", "auto") == choice, last_request()
    message = called.choices[0].message
    assert json.loads(message.tool_calls[0].function.arguments) == {"a": 1}
    history = user("[[tool:lookup]]") + [message, {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": "42"}]
    after = client.chat.completions.create(model=MODEL, messages=history, tools=[LOOKUP])
    assert after.choices[0].message.content == HELLO, after
    assert last_request()["messages"][-1]["content"] == "42"

    both = say("[[tool:lookup,other]]", tools=[LOOKUP, {**LOOKUP, "function": {**LOOKUP["function"], "name": "other"}}])
    assert [call.function.name for call in both.choices[0].message.tool_calls] == ["lookup", "other"], both


def structured():
    parsed = client.chat.completions.parse(model=MODEL, messages=user(f"[[say:{TRIP}]]"), response_format=Trip)
    assert parsed.choices[0].message.parsed == Trip(city="Lisbon", days=3), parsed
    sent = last_request()["response_format"]
    assert sent["type"] == "json_schema" and sent["json_schema"]["name"] == "Trip" and sent["json_schema"]["strict"], sent

    with client.chat.completions.stream(model=MODEL, messages=user(f"[[say:{TRIP}]]"), response_format=Trip) as stream:
        final = stream.get_final_completion()
    assert final.choices[0].message.parsed == Trip(city="Lisbon", days=3), final

    class lookup(BaseModel):
        a: int

    tool = openai.pydantic_function_tool(lookup)
    called = client.chat.completions.parse(model=MODEL, messages=user("[[tool:lookup]]"), tools=[tool])
    assert called.choices[0].message.tool_calls[0].function.parsed_arguments == lookup(a=1), called
    with raises(openai.LengthFinishReasonError):
        client.chat.completions.parse(model=MODEL, messages=user("[[length]]"), response_format=Trip)


def errors():
    with raises(openai.NotFoundError) as caught:
        say("x", extra_headers={"x-openclaw-agent-id": "ghost"})
    assert caught[0].code == "model_not_found"
    with raises(openai.RateLimitError) as caught:
        say("[[status:429]]")
    assert caught[0].response.headers["retry-after"]
    with raises(openai.InternalServerError) as caught:
        say("[[status:401]]")
    assert caught[0].status_code == 502
    with raises(openai.BadRequestError) as caught:
        say("x", tools=[{"type": "function"}])
    assert caught[0].param and caught[0].type == "invalid_request_error", caught[0].body
    with raises(openai.AuthenticationError):
        openai.OpenAI(api_key="wrong", max_retries=0).models.list()
    with raises(openai.InternalServerError):
        say("[[status:500]]", stream=True)


def killed_provider():
    """A provider that dies in the middle of its answer is an error, whole or streamed, and never a short answer."""
    with raises(openai.APIStatusError):
        say("[[cut]]")
    text = ""
    with raises(openai.APIError):
        for chunk in say("[[cut]]", stream=True):
            text += chunk.choices[0].delta.content or ""
    assert text == "half of the answer", text
    with raises(openai.APIError):
        with client.chat.completions.stream(model=MODEL, messages=user("[[cut]]")) as stream:
            stream.get_final_completion()


def leaving():
    """A client that goes frees the provider within a second."""
    with say("[[stall]]", stream=True) as stream:
        for chunk in stream:
            if chunk.choices and chunk.choices[0].delta.content:
                break
    released(1)
    with raises(openai.APITimeoutError):
        say("[[silent]]", timeout=0.5)
    released(1)


async def at_once():
    """Fifty answers whose tokens take turns: each stream gets its own and nothing else."""
    async with openai.AsyncOpenAI(max_retries=0, timeout=60) as many:
        async def one(number):
            text = ""
            stream = await many.chat.completions.create(model=MODEL, stream=True, messages=user(f"[[together:50:n{number}]]"))
            async for chunk in stream:
                for choice in chunk.choices:
                    text += choice.delta.content or ""
            assert text == "".join(f"n{number}.{piece} " for piece in range(5)), text
        await asyncio.gather(*(one(number) for number in range(50)))


async def asynchronous():
    async with openai.AsyncOpenAI(max_retries=0, timeout=20) as other:
        assert [model.id async for model in other.models.list()][0] == "openclaw"
        answer = await other.chat.completions.create(model=MODEL, messages=user("hi"))
        assert answer.choices[0].message.content == HELLO
        async with other.chat.completions.stream(model=MODEL, messages=user("hi")) as stream:
            final = await stream.get_final_completion()
        assert final.choices[0].message.content == HELLO
        parsed = await other.chat.completions.parse(model=MODEL, messages=user(f"[[say:{TRIP}]]"), response_format=Trip)
        assert parsed.choices[0].message.parsed.days == 3

        async def never_ends():
            async for _ in await other.chat.completions.create(model=MODEL, messages=user("[[stall]]"), stream=True):
                pass
        running = asyncio.create_task(never_ends())
        with raises(TimeoutError):
            await asyncio.wait_for(running, 0.5)
        released(1)


for check in (models, whole, streamed, token_by_token, stream_helper, tools, structured, errors, killed_provider, leaving):
    check()
asyncio.run(asynchronous())
asyncio.run(at_once())
print("all good")
