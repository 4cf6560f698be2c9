"""Every object and event of /v1/responses against the typed models of the Open Responses specification."""
import json
import os
import urllib.error
import urllib.request

import openresponses_types as spec

from double import HELLO, MODEL

BASE, KEY = os.environ["OPENAI_BASE_URL"], os.environ["OPENAI_API_KEY"]
# One red pixel.
IMAGE = ("data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElF"
         "TkSuQmCC")
WEATHER = {"type": "function", "name": "get_weather", "description": "The weather of a place", "parameters": {
    "type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}}
# The models by the event name that they demand.
EVENTS = {}
for model in vars(spec).values():
    if isinstance(model, type) and model.__name__.endswith("StreamingEvent"):
        (name,) = model.model_fields["type"].annotation
        EVENTS[name.value] = model


def message(role, content):
    return {"type": "message", "role": role, "content": content}


def post(body):
    data = json.dumps({"model": MODEL, **body}).encode()
    headers = {"content-type": "application/json", "authorization": f"Bearer {KEY}"}
    return urllib.request.urlopen(urllib.request.Request(BASE + "/responses", data, headers), timeout=20)


def whole(**body):
    with post(body) as answer:
        return spec.ResponseResource.model_validate_json(answer.read())


def streamed(**body):
    """The events, checked one by one and for their order; the last one holds the response."""
    with post({**body, "stream": True}) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream"), answer.headers
        blocks = answer.read().decode().strip().split("\n\n")
    assert blocks[-1] == "data: [DONE]", blocks[-1]
    events = []
    for block in blocks[:-1]:
        name, data = block.split("\n", 1)
        event = json.loads(data.removeprefix("data: "))
        assert name == f"event: {event['type']}", block
        assert event["type"] in EVENTS, f"the specification does not know {event['type']}"
        events.append(EVENTS[event["type"]].model_validate(event))
    assert [event.sequence_number for event in events] == list(range(len(events))), events
    names = [event.type.value for event in events]
    assert names[:2] == ["response.created", "response.in_progress"], names
    return names, events


def text(response):
    return "".join(part.text for item in response.output if item.type == "message" for part in item.content)


def cases():
    answer = whole(input=[message("user", "Say hello.")])
    assert (answer.status, text(answer)) == ("completed", HELLO), answer
    assert answer.usage.input_tokens + answer.usage.output_tokens == answer.usage.total_tokens == 18, answer.usage

    names, events = streamed(input=[message("user", "Say hello.")])
    assert names[-1] == "response.completed" and text(events[-1].response) == HELLO, names
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == HELLO

    answer = whole(input=[message("system", "You are a pirate."), message("user", "Say hello.")])
    assert answer.status == "completed", answer

    asked = [message("user", "[[tool:get_weather]]")]
    answer = whole(input=asked, tools=[WEATHER])
    (call,) = [item for item in answer.output if item.type == "function_call"]
    assert (call.name, call.arguments, answer.status) == ("get_weather", '{"a":1}', "completed"), answer

    names, events = streamed(input=asked, tools=[WEATHER])
    wanted = ["response.output_item.added", "response.function_call_arguments.delta",
              "response.function_call_arguments.done", "response.output_item.done"]
    assert [name for name in names if name in wanted] == wanted, names
    (done,) = [event for event in events if event.type == "response.function_call_arguments.done"]
    assert done.arguments == '{"a":1}', done
    answered = asked + [call.model_dump(mode="json"),
                        {"type": "function_call_output", "call_id": call.call_id, "output": "sunny"}]
    assert text(whole(input=answered, tools=[WEATHER])) == HELLO

    parts = [{"type": "input_text", "text": "What is this?"}, {"type": "input_image", "image_url": IMAGE}]
    assert whole(input=[message("user", parts)]).status == "completed"

    answer = whole(input=[message("user", "My name is Alice."), message("assistant", "Hello Alice!"),
                          message("user", "What is my name?")])
    assert answer.status == "completed", answer

    answer = whole(input="[[length]]", max_output_tokens=5, metadata={"a": "b"}, instructions="be brief", temperature=0.1)
    assert answer.status == "incomplete" and answer.incomplete_details.reason == "max_output_tokens", answer
    assert (answer.metadata, answer.instructions, answer.temperature) == ({"a": "b"}, "be brief", 0.1), answer

    names, events = streamed(input="[[cut]]")
    assert names[-1] == "response.failed" and events[-1].response.error.message, names


def errors():
    for body in ({"input": 5}, {"input": "x", "tools": [{"type": "function"}]}, {"input": "x", "temperature": "hot"}):
        try:
            post(body)
            raise AssertionError(f"accepted: {body}")
        except urllib.error.HTTPError as error:
            answer = json.load(error)["error"]
            assert error.code == 400 and answer["type"] == "invalid_request_error" and answer["param"], answer


cases()
errors()
print("all good")
