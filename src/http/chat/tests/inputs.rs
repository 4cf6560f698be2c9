//! Images, documents and links in messages.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::config::AuthMode;
use crate::domain::Part;
use crate::fetch::testing::{answer, serve};
use crate::http::fixtures::{Rig, all_on, body_json, completed, end};

const CSV: &str = "data:text/csv;base64,YSxi";

fn png(width: u32, height: u32) -> Vec<u8> {
    let size = [width.to_be_bytes(), height.to_be_bytes()].concat();
    [b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR".as_slice(), &size, b"\x08\x06\0\0\0"].concat()
}

fn png_url(width: u32, height: u32) -> String {
    format!("data:image/png;base64,{}", STANDARD.encode(png(width, height)))
}

fn image(url: &str) -> Value {
    json!({"type": "image_url", "image_url": {"url": url}})
}

fn file(data: &str) -> Value {
    json!({"type": "file", "file": {"filename": "a.csv", "file_data": data}})
}

fn rig(extra: Value) -> Rig {
    let mut config = all_on();
    config["gateway"]["http"]["endpoints"]["chatCompletions"]["images"] = extra;
    Rig::new(config, AuthMode::Token, vec![end(completed("x"))])
}

/// What the run was given for a message of these parts; the error text if it was refused.
async fn given(rig: &Rig, parts: Value) -> Result<Vec<Part>, String> {
    let body = json!({"messages": [{"role": "user", "content": parts}]});
    let response = rig.chat(&[], &body).await;
    if response.status() == 200 {
        let request = rig.script.requests.lock().unwrap().pop().unwrap();
        return Ok(request.input);
    }
    assert_eq!(response.status(), 400);
    let error = body_json(response).await["error"].clone();
    assert_eq!(error["param"], "messages");
    Err(error["message"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn images_have_limits_of_type_number_and_pixels() {
    let rig = rig(json!({}));
    let parts = given(&rig, json!([image(&png_url(10, 10))])).await.unwrap();
    assert!(matches!(&parts[..], [Part::Text(_), Part::Image { .. }]));
    for (parts, word) in [
        (vec![image("data:image/tiff;base64,QUJD")], "image/tiff"),
        (vec![image(&png_url(60_000, 60_000))], "pixels"),
        (vec![image(&png_url(1, 1)); 9], "most 8"),
    ] {
        let refused = given(&rig, json!(parts)).await.unwrap_err();
        assert!(refused.contains(word), "{refused}");
    }
}

#[tokio::test]
async fn an_image_goes_on_as_what_it_is_whatever_its_label_says() {
    let rig = rig(json!({}));
    let mislabelled = format!("data:image/jpeg;base64,{}", STANDARD.encode(png(3, 4)));
    let parts = given(&rig, json!([image(&mislabelled)])).await.unwrap();
    assert!(matches!(&parts[1], Part::Image { mime, .. } if mime == "image/png"));
}

#[tokio::test]
async fn old_images_give_way_to_new_ones() {
    let rig = rig(json!({}));
    let images = |count: usize| vec![image(&png_url(1, 1)); count];
    let body = json!({"messages": [
        {"role": "user", "content": images(6)},
        {"role": "assistant", "content": "nice"},
        {"role": "user", "content": images(5)},
    ]});
    assert_eq!(rig.chat(&[], &body).await.status(), 200);
    let request = rig.script.requests.lock().unwrap().pop().unwrap();
    let count = |parts: &[Part]| parts.iter().filter(|part| matches!(part, Part::Image { .. })).count();
    assert_eq!(count(&request.input), 5);
    let crate::domain::Message::User { parts } = &request.supplied_history[0] else {
        panic!("{:?}", request.supplied_history);
    };
    assert_eq!(count(parts), 3);
    assert!(matches!(parts.last(), Some(Part::Text(text)) if text.contains("[image omitted]")));
}

#[tokio::test]
async fn documents_become_text_beside_the_question() {
    let rig = rig(json!({}));
    let parts = given(&rig, json!([{"type": "text", "text": "sum it up"}, file(CSV)])).await;
    let expected = "sum it up\n<file name=\"a.csv\" mime=\"text/csv\">\na,b\n</file>";
    assert_eq!(parts.unwrap(), [Part::Text(expected.to_owned())]);
    let refused = given(&rig, json!([file("data:application/zip;base64,UEsDBAA=")])).await;
    assert!(refused.unwrap_err().contains("are not accepted"));
}

#[tokio::test]
async fn a_pdf_becomes_its_text() {
    let rig = rig(json!({}));
    let pdf = crate::documents::pdf_of(&["Invoice 42"]);
    let parts = given(&rig, json!([file(&STANDARD.encode(pdf))])).await.unwrap();
    let [Part::Text(text)] = &parts[..] else {
        panic!("{parts:?}");
    };
    assert!(
        text.contains("Invoice 42") && text.contains("application/pdf"),
        "{text}"
    );
}

#[tokio::test]
async fn links_are_followed_only_if_configuration_says_so() {
    let port = serve(|_| answer(200, "image/jpeg", png(3, 4))).await;
    let link = image(&format!("http://127.0.0.1:{port}/a.png"));
    let refused = given(&rig(json!({})), json!([link])).await.unwrap_err();
    assert!(refused.contains("data URL"), "{refused}");

    let rig = rig(json!({"allowUrl": true, "maxBytes": 100}));
    let parts = given(&rig, json!([{"type": "text", "text": "look"}, link]))
        .await
        .unwrap();
    let Part::Image { mime, data, .. } = &parts[1] else {
        panic!("{parts:?}");
    };
    assert_eq!((mime.as_str(), &**data), ("image/png", &*STANDARD.encode(png(3, 4))));
    let refused = given(&rig, json!(vec![link; 9])).await.unwrap_err();
    assert!(refused.contains("more than 8"), "{refused}");
    let private = given(&rig, json!([image("http://127.0.0.9/")])).await.unwrap_err();
    assert!(private.contains("public internet"), "{private}");
}

#[tokio::test]
async fn a_page_is_no_image_whatever_it_says() {
    let port = serve(|_| answer(200, "image/png", "<html>")).await;
    let rig = rig(json!({"allowUrl": true}));
    let link = image(&format!("http://127.0.0.1:{port}/"));
    assert!(given(&rig, json!([link])).await.unwrap_err().contains("not accepted"));
}

#[tokio::test]
async fn a_large_body_is_read_whole() {
    let rig = rig(json!({}));
    let text = "x".repeat(2 * 1024 * 1024);
    let parts = given(&rig, json!(text)).await.unwrap();
    assert_eq!(parts, [Part::Text(text)]);
}
