//! `/v1/responses` as clients of the Open Responses specification and of OpenAI's SDKs use it.

mod shapes;
mod socket;

use serde_json::{Value, json};

use self::shapes::{Event, Item, Response};
use crate::support::eventually;
use crate::support::gateway::{TOKEN, TestGateway, config, with_responses};
use crate::support::model::ModelDouble;

const PNG: &str = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==";

struct World {
    model: ModelDouble,
    gateway: TestGateway,
}

async fn start() -> World {
    let model = ModelDouble::start().await;
    let gateway = TestGateway::start(&with_responses(config(&model.base_url()))).await;
    World { model, gateway }
}

impl World {
    async fn post(&self, path: &str, body: &Value) -> reqwest::Response {
        reqwest::Client::builder()
            .build()
            .unwrap()
            .post(self.gateway.url(path))
            .bearer_auth(TOKEN)
            .json(body)
            .send()
            .await
            .unwrap()
    }

    /// A response that must satisfy the schema.
    async fn respond(&self, body: Value) -> Response {
        let answer = self.post("/v1/responses", &body).await;
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        assert_eq!(status, 200, "{text}");
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    /// The events of a stream, each of which must satisfy its schema.
    async fn stream(&self, mut body: Value) -> Vec<Event> {
        body["stream"] = json!(true);
        let answer = self.post("/v1/responses", &body).await;
        assert_eq!(answer.headers()["content-type"], "text/event-stream; charset=utf-8");
        let text = answer.text().await.unwrap();
        let (events, end) = text.rsplit_once("data: ").unwrap();
        assert_eq!(end, "[DONE]\n\n", "{text}");
        events
            .split("\n\n")
            .filter(|event| !event.is_empty() && !event.starts_with(':'))
            .enumerate()
            .map(|(number, event)| {
                let (name, data) = event.strip_prefix("event: ").unwrap().split_once("\ndata: ").unwrap();
                let event = Event::read(data);
                assert_eq!((event.kind(), event.sequence_number()), (name, number as u64));
                event
            })
            .collect()
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        let answer = reqwest::Client::builder()
            .build()
            .unwrap()
            .get(self.gateway.url(path))
            .bearer_auth(TOKEN)
            .send()
            .await
            .unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }
}

fn user(text: &str) -> Value {
    json!([{"type": "message", "role": "user", "content": text}])
}

fn weather_tool() -> Value {
    json!([{"type": "function", "name": "get_weather", "description": "Weather of a place.", "parameters": {
        "type": "object", "properties": {"location": {"type": "string"}}, "required": ["location"]}}])
}

fn final_response(events: &[Event]) -> &Response {
    let ends: Vec<&Response> = events.iter().filter_map(Event::end).collect();
    assert_eq!(ends.len(), 1, "one end");
    assert!(events.last().unwrap().end().is_some(), "and it is last");
    ends[0]
}

#[tokio::test]
async fn a_basic_response_has_every_field() {
    let world = start().await;
    let response = world
        .respond(json!({"model": "openclaw", "input": user("Say hello.")}))
        .await;
    assert_eq!(
        (response.status.as_str(), response.model.as_str()),
        ("completed", "openclaw")
    );
    assert_eq!(response.text(), "Hello from the double.");
    assert!(response.completed_at.unwrap() >= response.created_at);
    let usage = response.usage.unwrap();
    assert_eq!(usage.total_tokens, usage.input_tokens + usage.output_tokens);
    assert_eq!(
        (response.error.is_none(), response.incomplete_details.is_none()),
        (true, true)
    );
}

#[tokio::test]
async fn a_streamed_response_is_ordered_and_ends_with_the_same_object() {
    let world = start().await;
    let events = world
        .stream(json!({"model": "openclaw", "input": user("Count from 1 to 5.")}))
        .await;
    let kinds: Vec<&str> = events.iter().map(Event::kind).collect();
    assert_eq!(
        kinds[..4],
        [
            "response.created",
            "response.in_progress",
            "response.output_item.added",
            "response.content_part.added"
        ]
    );
    assert_eq!(
        kinds[kinds.len() - 4..],
        [
            "response.output_text.done",
            "response.content_part.done",
            "response.output_item.done",
            "response.completed"
        ]
    );
    let text: String = events.iter().filter_map(Event::text_delta).collect();
    let response = final_response(&events);
    assert_eq!(
        (text.as_str(), response.text().as_str()),
        ("Hello from the double.", "Hello from the double.")
    );
    let (_, stored) = world.get(&format!("/v1/responses/{}", response.id)).await;
    assert_eq!(&serde_json::from_value::<Response>(stored).unwrap(), response);
}

#[tokio::test]
async fn a_system_message_reaches_the_system_prompt() {
    let world = start().await;
    let input = json!([
        {"type": "message", "role": "system", "content": "You are a pirate."},
        {"type": "message", "role": "user", "content": "Say hello."},
    ]);
    let response = world
        .respond(json!({"model": "openclaw", "input": input, "instructions": "Be brief."}))
        .await;
    assert_eq!(response.status, "completed");
    assert_eq!(response.instructions.as_deref(), Some("Be brief."));
    let (role, system) = world.model.seen()[0].conversation()[0].clone();
    assert_eq!(role, "system");
    assert!(system.find("Be brief.").unwrap() < system.find("You are a pirate.").unwrap());
}

#[tokio::test]
async fn a_tool_call_completes_the_response_and_its_output_continues_it() {
    let world = start().await;
    let ask = json!({"model": "openclaw", "tools": weather_tool(), "input": user("Weather? [[tool:get_weather]]")});
    let response = world.respond(ask.clone()).await;
    assert_eq!(
        response.status, "completed",
        "as OpenAI ends a response with tool calls"
    );
    let Item::FunctionCall {
        call_id,
        name,
        arguments,
        status,
        ..
    } = response.output.last().unwrap()
    else {
        panic!("{:?}", response.output);
    };
    assert_eq!(
        (name.as_str(), arguments.as_str(), status.as_str()),
        ("get_weather", "{\"a\":1}", "completed")
    );
    let next = json!({"model": "openclaw", "tools": weather_tool(), "previous_response_id": response.id,
        "input": [{"type": "function_call_output", "call_id": call_id, "output": "sunny"}]});
    let last = world.respond(next).await;
    assert_eq!(last.text(), "Hello from the double.");
    let seen = world.model.seen();
    assert_eq!(seen.len(), 2, "one provider call per step");
    let messages = seen[1].body["messages"].as_array().unwrap();
    let answered = messages.last().unwrap();
    assert_eq!(
        (&answered["role"], &answered["content"]),
        (&json!("tool"), &json!("sunny"))
    );
    assert_eq!(
        answered["tool_call_id"],
        messages[messages.len() - 2]["tool_calls"][0]["id"]
    );

    let events = world.stream(ask).await;
    let delta: String = events.iter().filter_map(Event::arguments_delta).collect();
    assert_eq!(delta, "{\"a\":1}");
    assert!(
        events
            .iter()
            .any(|event| event.kind() == "response.function_call_arguments.done")
    );
    assert!(matches!(
        final_response(&events).output.last(),
        Some(Item::FunctionCall { .. })
    ));
}

#[tokio::test]
async fn an_image_and_a_file_reach_the_provider() {
    let world = start().await;
    let input = json!([{"type": "message", "role": "user", "content": [
        {"type": "input_text", "text": "What is it?"}, {"type": "input_image", "image_url": PNG},
    ]}]);
    assert_eq!(
        world.respond(json!({"model": "openclaw", "input": input})).await.status,
        "completed"
    );
    assert!(world.model.seen()[0].body["messages"].to_string().contains("image_url"));
}

#[tokio::test]
async fn a_conversation_is_continued_from_its_messages() {
    let world = start().await;
    let input = json!([
        {"type": "message", "role": "user", "content": "My name is Alice."},
        {"type": "message", "role": "assistant", "content": "Hello Alice!"},
        {"type": "message", "role": "user", "content": "What is my name?"},
    ]);
    assert_eq!(
        world.respond(json!({"model": "openclaw", "input": input})).await.status,
        "completed"
    );
    let roles: Vec<String> = world.model.seen()[0]
        .conversation()
        .into_iter()
        .map(|(role, _)| role)
        .collect();
    assert_eq!(roles[roles.len() - 3..], ["user", "assistant", "user"]);
}

#[tokio::test]
async fn output_can_be_replayed_as_input() {
    let world = start().await;
    let answer = world
        .post(
            "/v1/responses",
            &json!({"model": "openclaw", "input": "q [[say:REPLAYED]]"}),
        )
        .await;
    let answer: Value = answer.json().await.unwrap();
    let mut input = vec![json!({"role": "user", "content": "q"})];
    input.extend(answer["output"].as_array().unwrap().iter().cloned());
    input.push(json!({"role": "user", "content": [{"type": "input_text", "text": "again"}]}));
    assert_eq!(
        world.respond(json!({"model": "openclaw", "input": input})).await.status,
        "completed"
    );
    let conversation = world.model.seen()[1].conversation();
    assert!(conversation.contains(&("assistant".to_owned(), "REPLAYED".to_owned())));
}

#[tokio::test]
async fn a_response_survives_a_crash_and_is_continued_after_it() {
    let mut world = start().await;
    let first = world
        .respond(json!({"model": "openclaw", "input": "remember tea"}))
        .await;
    world.gateway.crash_and_restart().await;
    let (status, stored) = world.get(&format!("/v1/responses/{}", first.id)).await;
    assert_eq!(status, 200);
    assert_eq!(serde_json::from_value::<Response>(stored).unwrap(), first);
    let next = json!({"model": "openclaw", "previous_response_id": first.id, "input": "what?"});
    world.respond(next).await;
    let texts: Vec<String> = world.model.seen()[1]
        .conversation()
        .into_iter()
        .map(|(_, text)| text)
        .collect();
    assert_eq!(
        texts[texts.len() - 3..],
        ["remember tea", "Hello from the double.", "what?"]
    );
}

#[tokio::test]
async fn a_response_at_work_when_the_process_dies_is_failed_afterwards() {
    let mut world = start().await;
    let queued = world
        .respond(json!({"model": "openclaw", "background": true, "input": "[[stall]]"}))
        .await;
    assert_eq!(queued.status, "queued");
    let path = format!("/v1/responses/{}", queued.id);
    assert_eq!(world.get(&path).await.1["status"], "in_progress");
    world.gateway.crash_and_restart().await;
    let (_, stored) = world.get(&path).await;
    assert_eq!(
        (&stored["status"], &stored["error"]["code"]),
        (&json!("failed"), &json!("interrupted"))
    );
}

#[tokio::test]
async fn a_cancelled_response_ends_the_call_of_the_provider() {
    let world = start().await;
    let queued = world
        .respond(json!({"model": "openclaw", "background": true, "input": "[[stall]]"}))
        .await;
    eventually("the provider is asked", async || {
        (world.model.open() == 1).then_some(())
    })
    .await;
    let answer = world
        .post(&format!("/v1/responses/{}/cancel", queued.id), &json!({}))
        .await;
    let body: Value = answer.json().await.unwrap();
    assert_eq!(body["status"], "cancelled");
    eventually("the provider's stream is given up", async || {
        (world.model.open() == 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_nameless_response_leaves_nothing_but_itself() {
    let world = start().await;
    world.respond(json!({"model": "openclaw", "input": "hi"})).await;
    let mut client = world.gateway.operator().await;
    let sessions = client.ok("sessions.list", json!({})).await;
    assert_eq!(sessions["sessions"], json!([]));
    world
        .respond(json!({"model": "openclaw", "input": "hi", "user": "Ann"}))
        .await;
    let sessions = client.ok("sessions.list", json!({})).await;
    assert_eq!(sessions["sessions"][0]["key"], "agent:main:openresponses-user:ann");
}

#[tokio::test]
async fn a_broken_answer_is_said_once_and_ends_the_stream() {
    let world = start().await;
    let events = world.stream(json!({"model": "openclaw", "input": "[[cut]]"})).await;
    let text: String = events.iter().filter_map(Event::text_delta).collect();
    assert_eq!(text, "half of the answer");
    let response = final_response(&events);
    assert_eq!(response.status, "failed");
    assert!(response.error.is_some());
    let events = world.stream(json!({"model": "openclaw", "input": "[[length]]"})).await;
    let response = final_response(&events);
    assert_eq!(response.status, "incomplete");
    assert_eq!(
        response.incomplete_details.as_ref().unwrap().reason,
        "max_output_tokens"
    );
    let refused = world
        .post(
            "/v1/responses",
            &json!({"model": "openclaw", "stream": true, "input": "[[status:401]]"}),
        )
        .await;
    assert_eq!(refused.status(), 502);
}

#[tokio::test]
async fn a_conversation_is_compacted_and_goes_on_from_the_summary() {
    let world = start().await;
    let first = world
        .respond(json!({"model": "openclaw", "input": "We speak of tea."}))
        .await;
    let ask = json!({"model": "openclaw", "previous_response_id": first.id, "prompt_cache_key": "k", "input": "[[say:TEA-SUMMARY]]"});
    let compacted: Value = world.post("/v1/responses/compact", &ask).await.json().await.unwrap();
    let compacted: shapes::Compacted = serde_json::from_value(compacted).unwrap();
    let item = &compacted.output[0];
    let input = json!([item, {"role": "user", "content": "go on"}]);
    world.respond(json!({"model": "openclaw", "input": input})).await;
    let seen = world.model.seen();
    assert!(
        seen[1]
            .conversation()
            .iter()
            .any(|(_, text)| text == "We speak of tea.")
    );
    let said: String = seen[2].conversation().into_iter().map(|(_, text)| text).collect();
    assert!(said.contains("[Summary of the earlier conversation]") && !said.contains("We speak of tea."));
}
