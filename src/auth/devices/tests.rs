use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::*;
use crate::domain::{AuthMethod, Principal, ScopeSet};

/// Documents in memory, with a switch that makes every write fail.
#[derive(Default)]
pub(in crate::auth) struct MemoryStorage {
    collections: Mutex<HashMap<&'static str, HashMap<String, Value>>>,
    broken: AtomicBool,
    writes: std::sync::atomic::AtomicUsize,
}

impl MemoryStorage {
    fn break_down(&self, broken: bool) {
        self.broken.store(broken, Ordering::Relaxed);
    }

    fn writes(&self) -> usize {
        self.writes.load(Ordering::Relaxed)
    }

    fn text(&self) -> String {
        format!("{:?}", self.collections.lock().unwrap())
    }
}

impl DeviceStorage for MemoryStorage {
    fn load(&self, collection: &'static str) -> BoxFuture<'_, Result<Vec<(String, Value)>, StoreError>> {
        let collections = self.collections.lock().unwrap();
        let documents = collections.get(collection).cloned().unwrap_or_default();
        async move { Ok(documents.into_iter().collect()) }.boxed()
    }

    fn put(&self, collection: &'static str, changes: Changes) -> BoxFuture<'_, Result<(), StoreError>> {
        async move {
            if self.broken.load(Ordering::Relaxed) {
                return Err(StoreError::Full("no space".to_owned()));
            }
            self.writes.fetch_add(1, Ordering::Relaxed);
            let mut collections = self.collections.lock().unwrap();
            let documents = collections.entry(collection).or_default();
            for (key, value) in changes {
                match value {
                    Some(value) => documents.insert(key, value),
                    None => documents.remove(&key),
                };
            }
            Ok(())
        }
        .boxed()
    }
}

const NOW: i64 = 1_000_000;

fn names(list: &[&str]) -> Vec<String> {
    list.iter().map(|name| (*name).to_owned()).collect()
}

fn ask(device: &str, role: &str, scopes: &[&str]) -> Ask {
    Ask {
        device_id: DeviceId::new(device),
        public_key: format!("key-{device}"),
        display_name: Some("Laptop".to_owned()),
        platform: Some("linux".to_owned()),
        device_family: None,
        client_id: "cli".to_owned(),
        client_mode: "cli".to_owned(),
        role: role.to_owned(),
        roles: names(&[role]),
        scopes: names(scopes),
        remote_ip: None,
    }
}

fn caller(scopes: &[&str]) -> Principal {
    Principal {
        role: Role::Operator,
        scopes: ScopeSet::from_names(scopes),
        method: AuthMethod::Token,
        user: None,
        device: None,
        client_ip: "127.0.0.1".parse().unwrap(),
        local_direct: true,
    }
}

fn admin() -> Principal {
    caller(&["operator.admin"])
}

fn device_caller(device: &str, scopes: &[&str]) -> Principal {
    Principal {
        method: AuthMethod::DeviceToken,
        device: Some(DeviceId::new(device)),
        ..caller(scopes)
    }
}

async fn book(storage: &Arc<MemoryStorage>) -> DeviceBook {
    DeviceBook::load(Arc::<MemoryStorage>::clone(storage)).await.unwrap()
}

async fn empty() -> (Arc<MemoryStorage>, DeviceBook) {
    let storage = Arc::<MemoryStorage>::default();
    let book = book(&storage).await;
    (storage, book)
}

/// Asks and approves; returns the token.
async fn pair(book: &DeviceBook, device: &str, role: &str, scopes: &[&str]) -> String {
    let (request, _) = book.request(ask(device, role, scopes), NOW).await.unwrap();
    book.approve(&admin(), &request.request_id, NOW).await.unwrap();
    token(book, device, role)
}

fn token(book: &DeviceBook, device: &str, role: &str) -> String {
    let device = book.find(device).unwrap();
    device.token(Role::parse(role).unwrap()).unwrap().expose().to_owned()
}

#[tokio::test]
async fn an_approved_device_gets_a_token_that_survives_a_restart() {
    let (storage, first) = empty().await;
    let token = pair(&first, "d1", "operator", &["operator.write"]).await;
    assert_eq!(token.len(), 43);
    let second = book(&storage).await;
    let granted = names(&["operator.read", "operator.write"]);
    assert!(second.accepts("d1", Role::Operator, &token, &granted));
    assert!(!second.accepts("d1", Role::Operator, &token, &names(&["operator.admin"])));
    assert!(!second.accepts("d1", Role::Node, &token, &[]));
    assert!(!second.accepts("d2", Role::Operator, &token, &[]));
    let kept = second.token_for("d1", Role::Operator, &granted, NOW).await.unwrap();
    assert_eq!(kept.unwrap().expose(), token);
    assert!(second.list(&admin(), NOW).pending.is_empty());
}

#[tokio::test]
async fn the_same_or_a_smaller_ask_keeps_its_request() {
    let (storage, book) = empty().await;
    let wide = ask("d1", "operator", &["operator.read", "operator.pairing"]);
    let (first, is_new) = book.request(wide.clone(), NOW).await.unwrap();
    assert!(is_new && !first.is_repair);
    let writes = storage.writes();
    for same in [
        wide,
        ask("d1", "operator", &["operator.read"]),
        ask("d1", "operator", &[]),
    ] {
        let (again, is_new) = book.request(same, NOW + 1).await.unwrap();
        assert_eq!((again.request_id.as_str(), is_new), (first.request_id.as_str(), false));
    }
    assert_eq!(storage.writes(), writes);
}

#[tokio::test]
async fn a_larger_ask_replaces_the_request_and_keeps_what_it_wanted() {
    let (_, book) = empty().await;
    let (first, _) = book.request(ask("d1", "node", &[]), NOW).await.unwrap();
    let (second, is_new) = book
        .request(ask("d1", "operator", &["operator.read"]), NOW)
        .await
        .unwrap();
    assert!(is_new && first.request_id != second.request_id);
    assert_eq!(second.ask.role, "operator");
    assert_eq!(second.ask.roles, names(&["node", "operator"]));
    let list = book.list(&admin(), NOW);
    assert_eq!(list.pending, [(*second).clone()]);
}

#[tokio::test]
async fn requests_expire() {
    let (_, book) = empty().await;
    let (first, _) = book.request(ask("d1", "operator", &[]), NOW).await.unwrap();
    let late = NOW + PENDING_TTL_MS;
    assert!(book.list(&admin(), late).pending.is_empty());
    let outcome = book.approve(&admin(), &first.request_id, late).await;
    assert!(matches!(outcome, Err(BookError::UnknownRequest)));
    let (second, is_new) = book.request(ask("d1", "operator", &[]), late).await.unwrap();
    assert!(is_new && second.request_id != first.request_id);
}

#[tokio::test]
async fn the_list_of_requests_is_bounded_and_the_oldest_go() {
    let (_, book) = empty().await;
    for n in 0..250 {
        let device = format!("d{n}");
        book.request(ask(&device, "operator", &[]), NOW + n).await.unwrap();
    }
    let pending = book.list(&admin(), NOW + 250).pending;
    assert_eq!(pending.len(), MAX_PENDING);
    assert_eq!(pending[0].ask.device_id.as_str(), "d249");
    assert_eq!(pending.last().unwrap().ask.device_id.as_str(), "d50");
}

#[tokio::test]
async fn nobody_grants_what_he_does_not_hold() {
    let (_, book) = empty().await;
    let wanted = ask("d1", "operator", &["operator.read", "operator.approvals"]);
    let (request, _) = book.request(wanted, NOW).await.unwrap();
    let weak = caller(&["operator.pairing", "operator.write"]);
    let outcome = book.approve(&weak, &request.request_id, NOW).await.unwrap_err();
    assert_eq!(outcome.to_string(), "missing scope: operator.approvals");
    let holder = caller(&["operator.pairing", "operator.read", "operator.approvals"]);
    book.approve(&holder, &request.request_id, NOW).await.unwrap();
}

#[tokio::test]
async fn a_device_without_admin_manages_itself_only() {
    let (_, book) = empty().await;
    pair(&book, "d1", "operator", &["operator.pairing"]).await;
    pair(&book, "d2", "operator", &["operator.pairing"]).await;
    let (request, _) = book.request(ask("d3", "operator", &[]), NOW).await.unwrap();
    let own = device_caller("d1", &["operator.pairing"]);
    let list = serde_json::to_value(book.list(&own, NOW)).unwrap();
    assert_eq!(list["paired"].as_array().unwrap().len(), 1);
    assert_eq!(list["pending"], serde_json::json!([]));
    let id = request.request_id.as_str();
    let denied = [
        book.approve(&own, id, NOW).await.unwrap_err().to_string(),
        book.reject(&own, id, NOW).await.unwrap_err().to_string(),
        book.remove(&own, "d2").await.unwrap_err().to_string(),
        book.rotate(&own, "d2", "operator", None, NOW)
            .await
            .unwrap_err()
            .to_string(),
        book.revoke(&own, "d2", "operator", NOW).await.unwrap_err().to_string(),
    ];
    assert!(denied.iter().all(|message| message.ends_with(" denied")), "{denied:?}");
    assert_eq!(denied[3], "device token rotation denied");
    let rotated = book.rotate(&own, "d1", "operator", None, NOW).await.unwrap();
    assert_eq!(rotated.token.as_deref(), Some(token(&book, "d1", "operator").as_str()));
}

#[tokio::test]
async fn rotation_kills_the_old_token_and_cannot_widen() {
    let (_, book) = empty().await;
    let old = pair(&book, "d1", "operator", &["operator.read", "operator.pairing"]).await;
    let rotated = book
        .rotate(&admin(), "d1", "operator", Some(&names(&["operator.read"])), NOW + 5)
        .await
        .unwrap();
    assert_eq!(
        (rotated.scopes, rotated.rotated_at_ms, rotated.token),
        (names(&["operator.read"]), NOW + 5, None)
    );
    assert!(!book.accepts("d1", Role::Operator, &old, &[]));
    for (scopes, by) in [
        (names(&["operator.admin"]), admin()),
        (names(&["operator.pairing"]), caller(&["operator.read"])),
    ] {
        let outcome = book
            .rotate(&by, "d1", "operator", Some(&scopes), NOW)
            .await
            .unwrap_err();
        assert_eq!(outcome.to_string(), "device token rotation denied");
    }
    assert!(book.rotate(&admin(), "d1", "node", None, NOW).await.is_err());
    assert!(book.rotate(&admin(), "dx", "operator", None, NOW).await.is_err());
}

#[tokio::test]
async fn what_was_revoked_stays_revoked_until_it_is_approved_again() {
    let (_, book) = empty().await;
    let old = pair(&book, "d1", "operator", &["operator.admin"]).await;
    let revoked = book.revoke(&admin(), "d1", "operator", NOW + 1).await.unwrap();
    assert_eq!(revoked.revoked_at_ms, NOW + 1);
    assert!(!book.accepts("d1", Role::Operator, &old, &[]));
    assert!(book.token_for("d1", Role::Operator, &[], NOW).await.unwrap().is_none());
    assert!(book.rotate(&admin(), "d1", "operator", None, NOW).await.is_err());

    // An approver who holds less than was revoked does not bring it back.
    let (request, _) = book
        .request(ask("d1", "operator", &["operator.read"]), NOW)
        .await
        .unwrap();
    assert!(request.is_repair);
    let reader = caller(&["operator.pairing", "operator.read"]);
    book.approve(&reader, &request.request_id, NOW + 2).await.unwrap();
    let device = book.find("d1").unwrap();
    assert_eq!(device.ask.scopes, names(&["operator.read"]));
    assert_eq!(device.token(Role::Operator).unwrap().scopes, names(&["operator.read"]));
    assert!(!book.accepts("d1", Role::Operator, &old, &[]));
}

#[tokio::test]
async fn roles_are_granted_one_by_one() {
    let (_, book) = empty().await;
    let operator = pair(&book, "d1", "operator", &["operator.read"]).await;
    let node = pair(&book, "d1", "node", &[]).await;
    assert!(book.accepts("d1", Role::Operator, &operator, &names(&["operator.read"])));
    assert!(book.accepts("d1", Role::Node, &node, &[]));
    book.revoke(&admin(), "d1", "node", NOW).await.unwrap();
    assert!(book.accepts("d1", Role::Operator, &operator, &[]));
    assert!(!book.accepts("d1", Role::Node, &node, &[]));
}

#[tokio::test]
async fn closing_names_the_sockets_that_rest_on_what_was_taken() {
    let (_, book) = empty().await;
    pair(&book, "d1", "operator", &[]).await;
    let by_role = book.revoke(&admin(), "d1", "operator", NOW).await.unwrap().closing;
    let whole = book.remove(&admin(), "d1").await.unwrap();
    let operator = device_caller("d1", &[]);
    let node = Principal {
        role: Role::Node,
        ..device_caller("d1", &[])
    };
    let other = device_caller("d2", &[]);
    let shared = caller(&[]);
    let seen = |closing: &Closing| [&operator, &node, &other, &shared].map(|principal| closing.includes(principal));
    assert_eq!(seen(&by_role), [true, false, false, false]);
    assert_eq!(seen(&whole), [true, true, false, false]);
    assert_eq!(
        book.remove(&admin(), "d1").await.unwrap_err().to_string(),
        "unknown deviceId"
    );
}

#[tokio::test]
async fn removing_a_device_withdraws_its_requests() {
    let (storage, book) = empty().await;
    pair(&book, "the-lost-phone", "operator", &[]).await;
    book.request(ask("the-lost-phone", "operator", &["operator.admin"]), NOW)
        .await
        .unwrap();
    book.request(ask("d2", "operator", &[]), NOW).await.unwrap();
    book.remove(&admin(), "the-lost-phone").await.unwrap();
    let pending = book.list(&admin(), NOW).pending;
    assert_eq!(pending.len(), 1);
    assert!(!storage.text().contains("the-lost-phone"));
}

#[tokio::test]
async fn a_wider_token_is_issued_within_what_was_approved() {
    let (_, book) = empty().await;
    pair(&book, "d1", "operator", &["operator.read", "operator.pairing"]).await;
    book.rotate(&admin(), "d1", "operator", Some(&names(&["operator.read"])), NOW)
        .await
        .unwrap();
    let pairing = names(&["operator.pairing"]);
    let wider = book
        .token_for("d1", Role::Operator, &pairing, NOW + 9)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(wider.scopes, names(&["operator.pairing", "operator.read"]));
    assert_eq!(wider.issued_at_ms(), NOW + 9);
    let too_wide = names(&["operator.admin"]);
    assert!(
        book.token_for("d1", Role::Operator, &too_wide, NOW)
            .await
            .unwrap()
            .is_none()
    );
}

#[tokio::test]
async fn a_failing_disk_grants_nothing_and_says_so() {
    let (storage, book) = empty().await;
    let (request, _) = book.request(ask("d1", "operator", &[]), NOW).await.unwrap();
    storage.break_down(true);
    assert!(matches!(
        book.approve(&admin(), &request.request_id, NOW).await,
        Err(BookError::Storage(_))
    ));
    assert!(book.approve_silently(&ask("d2", "operator", &[]), NOW).await.is_err());
    assert!(book.request(ask("d3", "operator", &[]), NOW).await.is_err());
    assert!(book.find("d1").is_none() && book.find("d2").is_none());
    assert_eq!(book.list(&admin(), NOW).pending.len(), 1);
    storage.break_down(false);
    book.approve(&admin(), &request.request_id, NOW).await.unwrap();
    storage.break_down(true);
    assert!(book.remove(&admin(), "d1").await.is_err());
    assert!(book.revoke(&admin(), "d1", "operator", NOW).await.is_err());
    assert!(
        book.find("d1").unwrap().token(Role::Operator).is_some(),
        "as it is on disk"
    );
}

#[tokio::test]
async fn a_silent_approval_settles_what_it_covers() {
    let (_, book) = empty().await;
    book.request(ask("d1", "operator", &["operator.read"]), NOW)
        .await
        .unwrap();
    book.request(ask("d2", "operator", &["operator.read"]), NOW)
        .await
        .unwrap();
    book.approve_silently(&ask("d1", "operator", &["operator.read"]), NOW)
        .await
        .unwrap();
    let pending = book.list(&admin(), NOW).pending;
    assert_eq!(pending.len(), 1);
    assert_eq!(pending[0].ask.device_id.as_str(), "d2");
}

#[tokio::test]
async fn a_full_book_forgets_only_devices_that_nobody_approved() {
    let (_, book) = empty().await;
    pair(&book, "person", "operator", &[]).await;
    for n in 1..MAX_PAIRED {
        let device = format!("d{n}");
        let at = NOW + i64::try_from(n).unwrap();
        book.approve_silently(&ask(&device, "operator", &[]), at).await.unwrap();
    }
    book.note_use("d1", Role::Operator, NOW + 5_000_000).await;
    book.approve_silently(&ask("extra", "operator", &[]), NOW)
        .await
        .unwrap();
    assert!(book.find("person").is_some() && book.find("d1").is_some() && book.find("extra").is_some());
    assert!(book.find("d2").is_none());
    assert_eq!(book.lock().paired.len(), MAX_PAIRED);
}

#[tokio::test]
async fn the_time_of_last_use_is_written_once_an_hour() {
    let (storage, book) = empty().await;
    pair(&book, "d1", "operator", &[]).await;
    let writes = storage.writes();
    book.note_use("d1", Role::Operator, NOW).await;
    book.note_use("d1", Role::Operator, NOW + 1000).await;
    assert_eq!(storage.writes(), writes + 1);
    book.note_use("d1", Role::Operator, NOW + LAST_USED_GRAIN_MS).await;
    assert_eq!(storage.writes(), writes + 2);
}

#[tokio::test]
async fn summaries_and_debug_output_hold_no_secret() {
    let (_, book) = empty().await;
    let token = pair(&book, "d1", "operator", &["operator.read"]).await;
    let list = serde_json::to_value(book.list(&admin(), NOW)).unwrap();
    assert_eq!(
        list["paired"][0],
        serde_json::json!({
            "deviceId": "d1", "publicKey": "key-d1", "displayName": "Laptop", "platform": "linux", "clientId": "cli",
            "clientMode": "cli", "role": "operator", "roles": ["operator"], "scopes": ["operator.read"],
            "createdAtMs": NOW, "approvedAtMs": NOW,
            "tokens": [{ "role": "operator", "scopes": ["operator.read"], "createdAtMs": NOW }],
        })
    );
    assert!(!format!("{:?}", book.find("d1")).contains(&token));
}

#[tokio::test]
async fn a_record_that_cannot_be_read_is_left_out() {
    let (storage, first) = empty().await;
    pair(&first, "d1", "operator", &[]).await;
    let broken = vec![("d2".to_owned(), Some(serde_json::json!({ "deviceId": 7 })))];
    storage.put(PAIRED, broken).await.unwrap();
    let second = book(&storage).await;
    assert!(second.find("d1").is_some() && second.find("d2").is_none());
}

#[test]
fn systems_that_clients_name_differently_are_the_same() {
    let mac = |name: &str| Ask {
        platform: Some(name.to_owned()),
        ..ask("d1", "operator", &[])
    };
    let device = PairedDevice::approve(None, &mac("darwin"), false, NOW);
    assert!(device.has_metadata_of(&mac("macOS ")));
    assert!(!device.has_metadata_of(&mac("linux")));
    let family = Ask {
        device_family: Some("Linux".to_owned()),
        ..mac("darwin")
    };
    assert!(
        device.has_metadata_of(&family),
        "a family that was never said is not compared"
    );
    let device = PairedDevice::approve(Some(&device), &family, false, NOW);
    assert!(!device.has_metadata_of(&mac("darwin")));
}

#[tokio::test]
async fn asks_of_one_device_do_not_pile_up_without_end() {
    let (_, book) = empty().await;
    for n in 0..50 {
        let scopes: Vec<String> = (0..10).map(|k| format!("operator.x{n}-{k}")).collect();
        let scopes: Vec<&str> = scopes.iter().map(String::as_str).collect();
        book.request(ask("d1", "operator", &scopes), NOW).await.unwrap();
    }
    let pending = book.list(&admin(), NOW).pending;
    assert_eq!(pending.len(), 1);
    assert!(pending[0].ask.scopes.len() <= 64);
}
