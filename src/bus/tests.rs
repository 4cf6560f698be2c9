use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;

use serde_json::value::RawValue;

use super::outbox::{Outbox, Outgoing};
use super::presence::PresenceEntry;
use super::{ClientPresence, Hub, Registered, Registration};
use crate::base::{ConnId, SessionKey};
use crate::domain::event::{Audience, Event, EventName, Publisher};
use crate::domain::{AuthMethod, Principal, Role, Scope, ScopeSet};

fn principal(role: Role, scopes: &[Scope]) -> Arc<Principal> {
    Arc::new(Principal {
        role,
        scopes: ScopeSet::of(scopes),
        method: AuthMethod::Token,
        user: None,
        device: None,
        client_ip: IpAddr::from([127, 0, 0, 1]),
        local_direct: true,
    })
}

struct Peer {
    outbox: Arc<Outbox>,
    place: Option<Registered>,
    id: ConnId,
}

impl Peer {
    fn join(hub: &Hub, role: Role, protocol: u8, scopes: &[Scope], limit: usize) -> Self {
        Self::enter(hub, role, protocol, scopes, limit, None)
    }

    fn enter(
        hub: &Hub,
        role: Role,
        protocol: u8,
        scopes: &[Scope],
        limit: usize,
        presence: Option<ClientPresence>,
    ) -> Self {
        let outbox = Arc::new(Outbox::with_limit(limit));
        let id = ConnId::random();
        let place = hub.register(
            Registration {
                id: id.clone(),
                protocol,
                principal: principal(role, scopes),
                shared_generation: Some("g1".to_owned()),
                presence,
            },
            Arc::clone(&outbox),
        );
        Self {
            outbox,
            place: Some(place),
            id,
        }
    }

    fn operator(hub: &Hub, scopes: &[Scope]) -> Self {
        Self::join(hub, Role::Operator, 3, scopes, usize::MAX)
    }

    fn take(&self) -> Vec<String> {
        let mut frames = VecDeque::new();
        self.outbox.sync(std::task::Waker::noop(), &mut frames, true);
        frames
            .into_iter()
            .map(|frame| {
                self.outbox.written(frame.weight());
                match frame {
                    Outgoing::Event { frame, seq } => {
                        let seq = seq.map(|seq| format!(",\"seq\":{seq}")).unwrap_or_default();
                        format!("{}{seq}{}", frame.head, frame.tail)
                    }
                    Outgoing::Text(text) => text,
                    Outgoing::Close { code, reason } => format!("close {code} {reason}"),
                }
            })
            .collect()
    }
}

fn event(name: EventName, audience: Audience, droppable: bool) -> Event {
    let payload: Arc<RawValue> = Arc::from(RawValue::from_string("{}".to_owned()).unwrap());
    Event {
        name,
        payload,
        audience,
        droppable,
    }
}

#[test]
fn numbers_count_only_what_a_client_may_see() {
    let hub = Hub::default();
    let reader = Peer::operator(&hub, &[Scope::Read]);
    let pairing = Peer::operator(&hub, &[Scope::Pairing]);
    for name in [
        EventName::Tick,
        EventName::Chat,
        EventName::DevicePairResolved,
        EventName::Tick,
    ] {
        hub.publish(event(name, Audience::Broadcast, false));
    }
    assert_eq!(
        reader.take(),
        [
            r#"{"type":"event","event":"tick","payload":{},"seq":1}"#,
            r#"{"type":"event","event":"chat","payload":{},"seq":2}"#,
            r#"{"type":"event","event":"tick","payload":{},"seq":3}"#,
        ]
    );
    assert_eq!(pairing.take().len(), 3);
    assert!(pairing.take().is_empty());
}

#[test]
fn only_presence_and_health_carry_state_versions() {
    let hub = Hub::default();
    let reader = Peer::operator(&hub, &[Scope::Read]);
    hub.publish(event(EventName::Health, Audience::Broadcast, true));
    hub.publish(event(EventName::Health, Audience::Broadcast, true));
    assert_eq!(
        reader.take().last().unwrap(),
        r#"{"type":"event","event":"health","payload":{},"seq":2,"stateVersion":{"presence":1,"health":2}}"#
    );
}

#[test]
fn nodes_and_protocol_4_clients_without_read_scope_see_less() {
    let hub = Hub::default();
    let node = Peer::join(&hub, Role::Node, 3, &[Scope::Admin], usize::MAX);
    let old = Peer::join(&hub, Role::Operator, 3, &[], usize::MAX);
    let new = Peer::join(&hub, Role::Operator, 4, &[], usize::MAX);
    hub.publish(event(EventName::Agent, Audience::Broadcast, false));
    hub.publish(event(EventName::Presence, Audience::Broadcast, false));
    assert_eq!((node.take().len(), old.take().len(), new.take().len()), (1, 1, 0));
}

#[test]
fn targeted_events_have_no_number_and_follow_subscriptions() {
    let hub = Hub::default();
    let all = Peer::operator(&hub, &[Scope::Read]);
    let one = Peer::operator(&hub, &[Scope::Read]);
    let none = Peer::operator(&hub, &[Scope::Read]);
    let key = SessionKey::new("agent:main:main");
    assert!(!hub.has_audience(EventName::SessionMessage));
    hub.subscribe_sessions(&all.id, true);
    hub.subscribe_messages(&one.id, &key, true);
    assert!(hub.has_audience(EventName::SessionMessage));
    hub.publish(event(
        EventName::SessionMessage,
        Audience::SessionMessages(key.clone()),
        false,
    ));
    hub.publish(event(EventName::SessionsChanged, Audience::SessionSubscribers, false));
    hub.publish(event(EventName::Agent, Audience::Connection(none.id.clone()), false));
    assert_eq!((all.take().len(), one.take().len()), (2, 1));
    assert_eq!(none.take(), [r#"{"type":"event","event":"agent","payload":{}}"#]);
    hub.subscribe_sessions(&all.id, false);
    hub.subscribe_messages(&one.id, &key, false);
    assert!(!hub.has_audience(EventName::SessionMessage));
}

#[test]
fn a_departed_subscriber_is_no_audience() {
    let hub = Hub::default();
    let mut peer = Peer::operator(&hub, &[Scope::Read]);
    hub.subscribe_sessions(&peer.id, true);
    assert!(hub.has_audience(EventName::SessionTool) && hub.has_audience(EventName::Chat));
    peer.place = None;
    assert!(!hub.has_audience(EventName::SessionTool) && !hub.has_audience(EventName::Chat));
    assert_eq!(hub.connections(), 0);
}

#[test]
fn a_slow_client_misses_droppable_events_with_a_gap_and_is_closed_by_others() {
    let hub = Hub::default();
    let slow = Peer::join(&hub, Role::Operator, 3, &[Scope::Read], 10);
    hub.publish(event(EventName::Chat, Audience::Broadcast, true));
    hub.publish(event(EventName::Chat, Audience::Broadcast, true));
    assert_eq!(slow.take().len(), 1);
    hub.publish(event(EventName::Chat, Audience::Broadcast, true));
    assert!(slow.take()[0].contains("\"seq\":3"));
    hub.publish(event(EventName::Chat, Audience::Broadcast, false));
    hub.publish(event(EventName::Chat, Audience::Broadcast, false));
    assert_eq!(slow.take(), ["close 1008 slow consumer"]);
    assert!(slow.take().is_empty());
}

#[test]
fn shutdown_is_announced_in_both_dialects_and_closes_late_comers_too() {
    let hub = Hub::default();
    let old = Peer::operator(&hub, &[]);
    let new = Peer::join(&hub, Role::Operator, 4, &[], usize::MAX);
    hub.broadcast_shutdown("gateway stopping", None);
    assert_eq!(
        old.take(),
        [
            r#"{"type":"event","event":"shutdown","payload":{"reason":"gateway stopping","restartExpectedMs":null},"seq":1}"#
        ]
    );
    assert!(new.take()[0].contains(r#""payload":{"reason":"gateway stopping"}"#));
    hub.close_all(1012, "service restart");
    assert_eq!(old.take(), ["close 1012 service restart"]);
    assert_eq!(Peer::operator(&hub, &[]).take(), ["close 1012 service restart"]);
}

#[test]
fn connections_of_an_old_secret_are_closed() {
    let hub = Hub::default();
    let peer = Peer::operator(&hub, &[]);
    let closed = hub.close_where(
        |client| client.shared_generation.is_some_and(|own| own != "g2"),
        4001,
        "gateway auth changed",
    );
    assert_eq!(
        (closed, peer.take()),
        (1, vec!["close 4001 gateway auth changed".to_owned()])
    );
}

#[test]
fn concurrent_publishers_leave_no_gap_and_no_disorder() {
    let hub = Hub::default();
    let peer = Peer::operator(&hub, &[Scope::Read]);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..250 {
                    hub.publish(event(EventName::Chat, Audience::Broadcast, false));
                }
            });
        }
    });
    let frames = peer.take();
    assert_eq!(frames.len(), 1_000);
    for (index, frame) in frames.iter().enumerate() {
        assert!(frame.ends_with(&format!(",\"seq\":{}}}", index + 1)));
    }
}

#[tokio::test(start_paused = true)]
async fn departures_reach_those_who_were_there_in_one_event() {
    let hub = Hub::default();
    let stays = Peer::operator(&hub, &[Scope::Read]);
    let tracked = |device: &str| {
        let entry = PresenceEntry {
            host: device.to_owned(),
            device_id: Some(device.to_owned()),
            ..PresenceEntry::default()
        };
        Peer::enter(&hub, Role::Operator, 3, &[], usize::MAX, Some(ClientPresence { entry }))
    };
    let (mut first, mut second) = (tracked("d1"), tracked("d2"));
    let announce = first.place.take().unwrap().leave().unwrap();
    assert!(second.place.take().unwrap().leave().is_none());
    let late = Peer::operator(&hub, &[Scope::Read]);
    announce.await;
    let events = stays.take();
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].matches("\"reason\":\"disconnect\"").count(), 2);
    assert!(events[0].ends_with(",\"seq\":1,\"stateVersion\":{\"presence\":5,\"health\":0}}"));
    assert!(late.take().is_empty());
}
