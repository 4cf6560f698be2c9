"""LangChain's OpenAI client: invoke, stream, tools, structured output, async, errors; LibreChat speaks to us through its twin."""
import asyncio

import openai
from langchain_core.messages import HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from pydantic import BaseModel

from double import HELLO, MODEL, confirm, last_request, raises, released

model = ChatOpenAI(model=MODEL, max_retries=0, timeout=20, temperature=0.3, stream_usage=True)


class Trip(BaseModel):
    """A trip."""

    city: str
    days: int


TRIP = '{"city":"Lisbon","days":3}'


@tool
def lookup(a: int) -> str:
    """Looks a up."""
    return str(a + 41)


def invoke():
    answer = model.invoke([SystemMessage("be brief"), HumanMessage("hi")])
    assert answer.content == HELLO and answer.usage_metadata["total_tokens"] == 18, answer
    assert answer.response_metadata["finish_reason"] == "stop"
    sent = last_request()
    assert sent["temperature"] == 0.3 and "be brief" in sent["messages"][0]["content"], sent


def stream():
    parts = list(model.stream("hi"))
    whole = parts[0]
    for part in parts[1:]:
        whole += part
    assert whole.content == HELLO and whole.usage_metadata["total_tokens"] == 18, whole
    confirm()
    seen = []
    for part in model.stream("[[steps:4]]"):
        if part.content:
            seen.append(part.content)
            confirm()
    assert seen == ["t0 ", "t1 ", "t2 ", "t3 "], seen


def tool_loop():
    bound = model.bind_tools([lookup])
    for ask in (bound.invoke, lambda messages: sum_up(bound.stream(messages))):
        messages = [HumanMessage("[[tool:lookup]]")]
        called = ask(messages)
        assert [(call["name"], call["args"]) for call in called.tool_calls] == [("lookup", {"a": 1})], called
        messages += [called, ToolMessage(lookup.invoke(called.tool_calls[0]["args"]), tool_call_id=called.tool_calls[0]["id"])]
        assert ask(messages).content == HELLO
        assert last_request()["messages"][-1]["content"] == "42", last_request()


def sum_up(parts):
    whole = next(parts)
    for part in parts:
        whole += part
    return whole


def structured():
    for method in ("json_schema", "json_mode"):
        found = model.with_structured_output(Trip, method=method).invoke(f"[[say:{TRIP}]]")
        assert found == Trip(city="Lisbon", days=3), found
    assert last_request()["response_format"] == {"type": "json_object"}, last_request()

    class lookup(BaseModel):
        """Looks a up."""

        a: int

    found = model.with_structured_output(lookup, method="function_calling").invoke("[[tool:lookup]]")
    assert found == lookup(a=1), found
    assert last_request()["tool_choice"] == {"type": "function", "function": {"name": "lookup"}}, last_request()


def errors():
    with raises(openai.APIStatusError):
        model.invoke("[[cut]]")
    text = ""
    with raises(openai.APIError):
        for part in model.stream("[[cut]]"):
            text += part.content
    assert text == "half of the answer", text
    with raises(openai.RateLimitError):
        model.invoke("[[status:429]]")
    answer = model.stream("[[stall]]")
    for part in answer:
        if part.content:
            break
    answer.close()
    released(1)


async def asynchronous():
    assert (await model.ainvoke("hi")).content == HELLO
    text = ""
    async for part in model.astream("hi"):
        text += part.content
    assert text == HELLO
    answers = await model.abatch([f"[[together:20:l{number}]]" for number in range(20)])
    for number, answer in enumerate(answers):
        assert answer.content == "".join(f"l{number}.{piece} " for piece in range(5)), answer


for check in (invoke, stream, tool_loop, structured, errors):
    check()
asyncio.run(asynchronous())
print("all good")
