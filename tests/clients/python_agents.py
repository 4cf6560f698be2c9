"""The OpenAI Agents SDK over chat completions: an agent with a tool, streamed and whole, handoffs, typed output, errors."""
import asyncio

import openai
from agents import Agent, AsyncOpenAI, OpenAIChatCompletionsModel, Runner, function_tool, set_tracing_disabled
from pydantic import BaseModel

from double import HELLO, MODEL, confirm, last_request, raises

set_tracing_disabled(True)
client = AsyncOpenAI(max_retries=0, timeout=20)
called = []


@function_tool
def lookup(a: int) -> str:
    """Looks a up."""
    called.append(a)
    return "42"


class Trip(BaseModel):
    city: str
    days: int


def agent(**more):
    return Agent(name="Guide", instructions="be brief", model=OpenAIChatCompletionsModel(model=MODEL, openai_client=client), **more)


async def main():
    result = await Runner.run(agent(), "hi")
    assert result.final_output == HELLO, result
    assert result.context_wrapper.usage.total_tokens == 18, result.context_wrapper.usage

    result = await Runner.run(agent(tools=[lookup]), "[[tool:lookup]]")
    assert (result.final_output, called) == (HELLO, [1]), (result.final_output, called)
    assert [message["role"] for message in last_request()["messages"]] == ["system", "user", "assistant", "tool"], last_request()

    result = Runner.run_streamed(agent(tools=[lookup]), "[[tool:lookup]]")
    text = ""
    async for event in result.stream_events():
        if event.type == "raw_response_event" and event.data.type == "response.output_text.delta":
            text += event.data.delta
    assert (text, result.final_output, called) == (HELLO, HELLO, [1, 1]), (text, called)

    confirm()
    seen = []
    async for event in Runner.run_streamed(agent(), "[[steps:3]]").stream_events():
        if event.type == "raw_response_event" and event.data.type == "response.output_text.delta":
            seen.append(event.data.delta)
            confirm()
    assert seen == ["t0 ", "t1 ", "t2 "], seen

    result = await Runner.run(agent(output_type=Trip), '[[say:{"city":"Lisbon","days":3}]]')
    assert result.final_output == Trip(city="Lisbon", days=3), result
    assert last_request()["response_format"]["type"] == "json_schema"

    with raises(openai.APIError):
        await Runner.run(agent(), "[[cut]]")
    with raises(openai.APIError):
        async for _ in Runner.run_streamed(agent(), "[[cut]]").stream_events():
            pass

    results = await asyncio.gather(*(Runner.run(agent(), f"[[together:20:a{number}]]") for number in range(20)))
    for number, result in enumerate(results):
        assert result.final_output == "".join(f"a{number}.{piece} " for piece in range(5)), result.final_output


asyncio.run(main())
print("all good")
