"""The Responses API with the official Python SDK, LangChain and the Agents SDK on top."""
import asyncio

import openai
from agents import Agent, AsyncOpenAI, OpenAIResponsesModel, Runner, function_tool, set_tracing_disabled
from langchain_openai import ChatOpenAI
from openai.lib.responses_tool_runner import RegisteredFunction, ResponsesToolRunner
from pydantic import BaseModel

from double import HELLO, MODEL, confirm, last_request, raises, released

client = openai.OpenAI(max_retries=0, timeout=20)
LOOKUP = {"type": "function", "name": "lookup", "description": "Looks a up", "strict": True, "parameters": {
    "type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"], "additionalProperties": False}}


class Trip(BaseModel):
    city: str
    days: int


TRIP = '{"city":"Lisbon","days":3}'


def ask(text, **more):
    return client.responses.create(model=MODEL, input=text, **more)


def whole():
    answer = ask("hi", instructions="be brief", metadata={"k": "v"}, max_output_tokens=50, parallel_tool_calls=True)
    assert (answer.status, answer.output_text) == ("completed", HELLO), answer
    assert answer.output[0].content[0].annotations == [], answer.output
    assert answer.usage.total_tokens == 18 and answer.usage.input_tokens_details.cached_tokens == 0, answer.usage
    assert (answer.metadata, answer.tools, answer.error) == ({"k": "v"}, [], None), answer
    assert "be brief" in last_request()["messages"][0]["content"]
    assert ask([{"role": "user", "content": "hi"}]).output_text == HELLO
    replayed = [{"role": "user", "content": "hi"}] + [item.to_dict() for item in answer.output] + [{"role": "user", "content": "more"}]
    assert ask(replayed).output_text == HELLO
    assert [message["role"] for message in last_request()["messages"]][-3:] == ["user", "assistant", "user"]


def stored():
    first = ask("remember one")
    assert client.responses.retrieve(first.id).output_text == HELLO
    items = list(client.responses.input_items.list(first.id))
    assert [item.content[0].text for item in items] == ["remember one"], items
    second = ask("and two", previous_response_id=first.id)
    assert second.previous_response_id == first.id
    said = [message["content"] for message in last_request()["messages"] if message["role"] != "system"]
    assert said == ["remember one", HELLO, "and two"], said
    client.responses.delete(first.id)
    with raises(openai.NotFoundError):
        client.responses.retrieve(first.id)
    with raises(openai.NotFoundError, openai.BadRequestError):
        ask("x", previous_response_id="resp_00000000000000000000000000000000")
    forgotten = ask("x", store=False)
    with raises(openai.NotFoundError):
        client.responses.retrieve(forgotten.id)


def streamed():
    events = list(ask("hi", stream=True))
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert events[0].type == "response.created" and events[-1].type == "response.completed", events
    assert events[-1].response.output_text == HELLO

    with client.responses.stream(model=MODEL, input="hi") as stream:
        text = "".join(event.delta for event in stream if event.type == "response.output_text.delta")
        assert text == stream.get_final_response().output_text == HELLO

    confirm()
    seen = []
    for event in ask("[[steps:4]]", stream=True):
        if event.type == "response.output_text.delta":
            seen.append(event.delta)
            confirm()
    assert seen == ["t0 ", "t1 ", "t2 ", "t3 "], seen


def tools():
    called = ask("[[tool:lookup]]", tools=[LOOKUP], tool_choice={"type": "function", "name": "lookup"})
    (call,) = [item for item in called.output if item.type == "function_call"]
    assert (call.name, call.arguments, called.status) == ("lookup", '{"a":1}', "completed"), called
    output = [{"type": "function_call_output", "call_id": call.call_id, "output": "42"}]
    assert ask(output, previous_response_id=called.id, tools=[LOOKUP]).output_text == HELLO
    assert [message["role"] for message in last_request()["messages"]][-3:] == ["user", "assistant", "tool"]

    class lookup(BaseModel):
        a: int

    ran = []

    def execute(arguments):
        ran.append(arguments.a)
        return "42"

    tool = openai.pydantic_function_tool(lookup)
    tool = openai.lib._tools.ResponsesPydanticFunctionTool({"type": "function", **tool["function"]}, lookup)
    for stream in (False, True):
        runner = ResponsesToolRunner(functions=[RegisteredFunction.from_tool(tool, execute=execute)])
        final = runner.run(client, {"model": MODEL, "input": "[[tool:lookup]]"}, stream=stream, max_steps=3)
        assert final.output_text == HELLO, final
    assert ran == [1, 1], ran


def structured():
    parsed = client.responses.parse(model=MODEL, input=f"[[say:{TRIP}]]", text_format=Trip)
    assert parsed.output_parsed == Trip(city="Lisbon", days=3), parsed
    assert last_request()["response_format"]["json_schema"]["name"] == "Trip", last_request()
    with client.responses.stream(model=MODEL, input=f"[[say:{TRIP}]]", text_format=Trip) as stream:
        assert stream.get_final_response().output_parsed.days == 3


def errors():
    with raises(openai.APIStatusError):
        ask("[[cut]]")
    events = list(ask("[[cut]]", stream=True))
    assert events[-1].type == "response.failed" and events[-1].response.error.message, events[-1]
    assert sum(event.type == "response.output_text.delta" for event in events) == 2, events
    with raises(openai.RateLimitError):
        ask("[[status:429]]")
    with raises(openai.BadRequestError) as caught:
        ask("x", tools=[{"type": "function"}])
    assert caught[0].param, caught[0].body
    for event in (stream := ask("[[stall]]", stream=True)):
        if event.type == "response.output_text.delta":
            break
    stream.close()
    released(1)


def langchain():
    model = ChatOpenAI(model=MODEL, max_retries=0, timeout=20, use_responses_api=True)
    answer = model.invoke("hi")
    assert answer.text == HELLO and answer.usage_metadata["total_tokens"] == 18, answer
    assert "".join(part.text for part in model.stream("hi")) == HELLO
    called = model.bind_tools([LOOKUP]).invoke("[[tool:lookup]]")
    assert [call["args"] for call in called.tool_calls] == [{"a": 1}], called
    assert model.with_structured_output(Trip).invoke(f"[[say:{TRIP}]]") == Trip(city="Lisbon", days=3)
    with raises(openai.APIError, ValueError):
        list(model.stream("[[cut]]"))


async def agents():
    set_tracing_disabled(True)
    ran = []

    @function_tool
    def lookup(a: int) -> str:
        """Looks a up."""
        ran.append(a)
        return "42"

    model = OpenAIResponsesModel(model=MODEL, openai_client=AsyncOpenAI(max_retries=0, timeout=20))
    agent = Agent(name="Guide", instructions="be brief", model=model, tools=[lookup])
    result = await Runner.run(agent, "[[tool:lookup]]")
    assert (result.final_output, ran) == (HELLO, [1]), result
    again = await Runner.run(agent, "more", previous_response_id=result.last_response_id)
    assert again.final_output == HELLO
    result = Runner.run_streamed(agent, "[[tool:lookup]]")
    async for _ in result.stream_events():
        pass
    assert (result.final_output, ran) == (HELLO, [1, 1]), result
    typed = await Runner.run(Agent(name="Guide", model=model, output_type=Trip), f"[[say:{TRIP}]]")
    assert typed.final_output.days == 3, typed
    with raises(Exception):
        await Runner.run(agent, "[[cut]]")
    with raises(Exception):
        async for _ in Runner.run_streamed(agent, "[[cut]]").stream_events():
            pass


async def at_once():
    async with openai.AsyncOpenAI(max_retries=0, timeout=60) as many:
        async def one(number):
            text = ""
            async for event in await many.responses.create(model=MODEL, stream=True, input=f"[[together:50:r{number}]]"):
                if event.type == "response.output_text.delta":
                    text += event.delta
            assert text == "".join(f"r{number}.{piece} " for piece in range(5)), text
        await asyncio.gather(*(one(number) for number in range(50)))


for check in (whole, stored, streamed, tools, structured, errors, langchain):
    check()
asyncio.run(agents())
asyncio.run(at_once())
print("all good")
