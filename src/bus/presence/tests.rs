use serde_json::Value;

use super::*;

fn client(host: &str, device: Option<&str>) -> ClientPresence {
    ClientPresence {
        entry: PresenceEntry {
            host: host.to_owned(),
            device_id: device.map(str::to_owned),
            ..PresenceEntry::default()
        },
    }
}

fn shown(json: &RawValue) -> Vec<(String, String)> {
    let value: Value = serde_json::from_str(json.get()).unwrap();
    let list = value.get("presence").unwrap_or(&value);
    list.as_array()
        .unwrap()
        .iter()
        .map(|entry| {
            (
                entry["host"].as_str().unwrap().to_owned(),
                entry["reason"].as_str().unwrap().to_owned(),
            )
        })
        .collect()
}

fn pair(host: &str, reason: &str) -> (String, String) {
    (host.to_owned(), reason.to_owned())
}

#[tokio::test]
async fn the_gateway_comes_first_then_the_newest() {
    let mut table = PresenceTable::new(GatewayFacts::default());
    table.joined(client("a", Some("d1")), 10);
    table.joined(client("b", Some("d2")), 20);
    assert_eq!(
        shown(&table.list(30)),
        [pair("", "self"), pair("b", "connect"), pair("a", "connect")]
    );
}

#[tokio::test]
async fn a_device_that_left_expires_and_a_connected_one_does_not() {
    let mut table = PresenceTable::new(GatewayFacts::default());
    let gone = table.joined(client("gone", Some("d1")), 0);
    table.joined(client("here", Some("d2")), 0);
    table.left(&gone, 0);
    assert_eq!(shown(&table.payload(TTL_MS - 1)).len(), 3);
    assert_eq!(
        shown(&table.payload(TTL_MS)),
        [pair("", "self"), pair("here", "connect")]
    );
}

#[tokio::test]
async fn equal_anonymous_clients_share_an_entry_and_leave_in_one_broadcast() {
    let mut table = PresenceTable::new(GatewayFacts::default());
    let key = table.joined(client("x", None), 1);
    assert_eq!(table.joined(client("x", None), 2), key);
    assert_eq!(shown(&table.list(3)).len(), 2);
    table.left(&key, 4);
    assert_eq!(
        shown(&table.payload(5)),
        [pair("", "self"), pair("x", "disconnect"), pair("x", "connect")]
    );
    table.left(&key, 6);
    assert_eq!(shown(&table.payload(7)), [pair("", "self"), pair("x", "disconnect")]);
    assert_eq!(shown(&table.payload(8)), [pair("", "self")]);
}

#[tokio::test]
async fn the_table_keeps_the_newest_two_hundred() {
    let mut table = PresenceTable::new(GatewayFacts::default());
    for n in 0..250_i64 {
        table.joined(client("x", Some(&n.to_string())), n);
    }
    assert_eq!(shown(&table.list(250)).len(), MAX_ENTRIES + 1);
}

#[tokio::test]
async fn a_system_event_is_read_from_its_text() {
    let mut table = PresenceTable::new(GatewayFacts::default());
    table.noted(
        SystemNote {
            entry: PresenceEntry {
                text: "Node: laptop (10.0.0.5) · app 1.2 · last input 5s ago · mode ui · reason periodic".to_owned(),
                ..PresenceEntry::default()
            },
        },
        1,
    );
    let list: Value = serde_json::from_str(table.list(2).get()).unwrap();
    let entry = &list[1];
    assert_eq!(
        (
            &entry["host"],
            &entry["ip"],
            &entry["version"],
            &entry["lastInputSeconds"],
            &entry["mode"],
            &entry["reason"]
        ),
        (
            &"laptop".into(),
            &"10.0.0.5".into(),
            &"1.2".into(),
            &5.into(),
            &"ui".into(),
            &"periodic".into()
        )
    );
}
