//! PDFs in requests, read by a process of their own: good ones, and such as would take the gateway down.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::hostile::peak_memory;
use crate::support::gateway::{TestGateway, config, user_says};
use crate::support::model::ModelDouble;

/// Two gibibytes of nothing, deflated three times.
const NOTHING: &str = "eNqruPX2jqLfbEaJ4w/XRzpP6zRk4dqcfGZCCVtvwiwFQRbr7Wrc+9qKeQ4zPpuw41AI/wYFgdAWoaqe999t3Cue2ufX2f//\
    +996Js9hg/g9/yp//chkAAK3vH8/fh/+LWFQc1env68eJJRcvu135S5Z1jg//n3W7ECBnntXH27Xv83f+DxePPg5UKDh4u34\
    9Wm3dR/kFe8ufyQHFDGo4m9iBNITlCRARuiCORcgHENkzqjMqMyozKjMqMyozKjMqMyozKjMqMyozCCRKdobp3tvecPNv2k7\
    iy233OX5/DnxE5vvqvWpABl9CH8=";

/// A page with this content and these resources; `more` are objects from number 5 on.
fn pdf(resources: &str, content: &[u8], more: &[&str]) -> Vec<u8> {
    let page = format!("<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Resources<<{resources}>>/Contents 4 0 R>>");
    let mut objects: Vec<Vec<u8>> = vec![
        b"<</Type/Catalog/Pages 2 0 R>>".to_vec(),
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>".to_vec(),
        page.into_bytes(),
        content.to_vec(),
    ];
    objects.extend(more.iter().map(|object| object.as_bytes().to_vec()));
    let mut file = b"%PDF-1.4\n".to_vec();
    let mut offsets = Vec::new();
    for (index, object) in objects.iter().enumerate() {
        offsets.push(file.len());
        file.extend(format!("{} 0 obj\n", index + 1).bytes());
        file.extend(object);
        file.extend(b"\nendobj\n");
    }
    let (start, size) = (file.len(), objects.len() + 1);
    file.extend(format!("xref\n0 {size}\n0000000000 65535 f \n").bytes());
    for offset in offsets {
        file.extend(format!("{offset:010} 00000 n \n").bytes());
    }
    file.extend(format!("trailer<</Size {size}/Root 1 0 R>>\nstartxref\n{start}\n%%EOF").bytes());
    file
}

fn stream(head: &str, data: &[u8]) -> Vec<u8> {
    let head = format!("<<{head}/Length {}>>stream\n", data.len());
    [head.as_bytes(), data, b"\nendstream"].concat()
}

async fn ask(gateway: &TestGateway, file: &[u8]) -> (u16, Value) {
    let data = STANDARD.encode(file);
    let parts = json!([
        {"type": "text", "text": "sum it up"},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": data}},
    ]);
    gateway
        .chat(&json!({"messages": [{"role": "user", "content": parts}]}))
        .await
}

#[tokio::test]
async fn a_pdf_is_read_and_one_that_means_harm_ends_alone() {
    let model = ModelDouble::start().await;
    let gateway = TestGateway::start(&config(&model.base_url())).await;
    let font = "/Font<</F1 5 0 R>>";
    let helvetica = "<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding>>";
    let invoice = pdf(
        font,
        &stream("", b"BT /F1 12 Tf 72 720 Td (Invoice 42) Tj ET"),
        &[helvetica],
    );
    let (status, answer) = ask(&gateway, &invoice).await;
    assert_eq!(status, 200, "{answer}");
    let prompt = model.seen().pop().unwrap().prompt();
    assert!(prompt.contains("Invoice 42") && prompt.contains("a.pdf"), "{prompt}");

    let itself = String::from_utf8(stream("/Type/XObject/Subtype/Form/BBox[0 0 9 9]", b"/F Do")).unwrap();
    let endless = pdf("/XObject<</F 5 0 R>>", &stream("", b"/F Do"), &[&itself]);
    let filters = "/Filter[/FlateDecode/FlateDecode/FlateDecode]";
    let bomb = pdf("", &stream(filters, &STANDARD.decode(NOTHING).unwrap()), &[]);
    for (what, file) in [("a form that draws itself", endless), ("a bomb", bomb)] {
        let (status, answer) = ask(&gateway, &file).await;
        assert_eq!(
            (status, &answer["error"]["param"]),
            (400, &json!("messages")),
            "{what}: {answer}"
        );
        let message = answer["error"]["message"].as_str().unwrap();
        assert!(message.contains("PDF"), "{what}: {message}");
    }
    let peak = peak_memory(&gateway);
    assert!(peak < 200 << 20, "{} MiB", peak >> 20);
    assert_eq!(gateway.chat(&user_says("still there?")).await.0, 200);
    assert_eq!(model.seen().len(), 2);
}
