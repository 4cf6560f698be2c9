//! One connection: handshake, registration, then requests until it ends.

use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

use super::dispatch::Session;
use super::handshake::{self, Admission};
use super::hello::{self, MAX_PAYLOAD};
use super::method::ConnInfo;
use super::surface::{Surface, SurfaceGate, UpgradeFacts};
use super::ws::{Driver, Step};
use crate::base::ConnId;
use crate::bus::presence::PresenceEntry;
use crate::bus::{ClientPresence, Outbox, Registered, Registration};
use crate::domain::Principal;
use crate::wire::connect::ClientInfo;
use crate::wire::frame;

/// Serves a connection until it ends. What only the handshake needs is given back before the connection idles.
pub(super) async fn serve<IO>(surface: &Surface, io: IO, facts: UpgradeFacts)
where
    IO: AsyncRead + AsyncWrite + Unpin + Send,
{
    let outbox = Arc::new(Outbox::new());
    let mut driver = Driver::new(io, &facts.leftover, outbox, handshake::MESSAGE_LIMIT);
    let Some(open) = Box::pin(enter(surface, &mut driver, facts)).await else {
        return;
    };
    let Open { mut session, place } = open;
    while let Step::Message(text) = driver.next().await {
        session.handle(&mut driver, &text).await;
    }
    session.end();
    if let Some(announce) = place.leave() {
        surface.services().lifecycle.tasks.spawn(announce);
    }
    driver.outbox().shut();
    driver.shutdown().await;
}

/// A connection that reached hello-ok.
struct Open {
    session: Session,
    place: Registered,
}

async fn enter<IO>(surface: &Surface, driver: &mut Driver<IO>, facts: UpgradeFacts) -> Option<Open>
where
    IO: AsyncRead + AsyncWrite + Unpin + Send,
{
    let gate = SurfaceGate {
        surface,
        internal: facts.internal,
    };
    let Some(admission) = handshake::shake(driver, &facts.origin, &gate).await else {
        tracing::debug!(target: "gateway", peer = %facts.origin.peer, "handshake failed");
        return None;
    };
    drop(facts.permit);
    match admit(surface, driver, admission, gate.internal.is_some()) {
        Ok(open) => Some(open),
        Err((code, reason)) => {
            driver.outbox().close(code, reason);
            driver.finish().await;
            None
        }
    }
}

/// Registers the caller and answers hello-ok, in this order, because the answer shows the caller itself. Events that are
/// published meanwhile are queued, and the answer is put before them.
fn admit<IO>(
    surface: &Surface,
    driver: &mut Driver<IO>,
    admission: Admission,
    internal: bool,
) -> Result<Open, (u16, &'static str)>
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    let services = surface.services();
    let Admission {
        request_id,
        params,
        protocol,
        entry,
    } = admission;
    let principal = Arc::new(entry.grant.principal.clone());
    let id = ConnId::random();
    let presence = (!internal && is_tracked(&params.client)).then(|| presence(&params.client, &principal));
    let shared_generation = entry.shared_generation;
    let place = services.hub.register(
        Registration {
            id: id.clone(),
            protocol,
            principal: Arc::clone(&principal),
            shared_generation,
            presence,
        },
        Arc::clone(driver.outbox()),
    );
    // Whoever closes the connections of an old secret may have looked before this one was in the table.
    if !place.is_current(&services.snapshots.load().auth.shared_generation) {
        return Err((4001, "gateway auth changed"));
    }
    // The same holds for whoever removes a device or takes its token away.
    if let Some(mark) = &entry.grant.pairing
        && !services.auth.still_paired(mark)
    {
        return Err((4001, "device removed"));
    }
    let payload = hello::payload(services, &id, protocol, &entry.grant).map_err(|error| {
        tracing::error!(target: "gateway", %error, "hello-ok cannot be written");
        (1011, "internal error")
    })?;
    driver.send_first(frame::success(&request_id, &payload));
    driver.open(MAX_PAYLOAD);
    if !internal {
        services.health.request_refresh();
        tracing::debug!(
            target: "gateway",
            conn = %id,
            client = %params.client.id,
            mode = %params.client.mode,
            protocol,
            "client connected"
        );
    }
    let conn = Arc::new(ConnInfo {
        id,
        protocol,
        client_id: params.client.id,
        client_mode: params.client.mode,
        display_name: params.client.display_name,
        caps: params.caps.unwrap_or_default(),
    });
    Ok(Open {
        session: Session::new(
            surface.clone(),
            principal,
            conn,
            Arc::clone(driver.outbox()),
            CancellationToken::new(),
        ),
        place,
    })
}

/// The command line connects for one call at a time and would only flicker.
fn is_tracked(client: &ClientInfo) -> bool {
    client.id != "cli" && client.mode != "cli"
}

fn presence(client: &ClientInfo, principal: &Principal) -> ClientPresence {
    let host = short(client.display_name.as_ref().unwrap_or(&client.id));
    let device = principal.device.as_ref().map(|device| device.as_str().to_owned());
    ClientPresence {
        entry: PresenceEntry {
            text: format!("Node: {host} · mode {}", client.mode),
            host,
            ip: (!principal.local_direct).then(|| principal.client_ip.to_string()),
            version: Some(short(&client.version)),
            platform: Some(short(&client.platform)),
            device_family: client.device_family.as_ref().map(short),
            model_identifier: client.model_identifier.as_ref().map(short),
            mode: Some(client.mode.clone()),
            time_zone: client.time_zone.as_ref().map(short),
            instance_id: device.clone().or_else(|| client.instance_id.as_ref().map(short)),
            device_id: device,
            roles: Some(vec![hello::role_name(principal.role).to_owned()]),
            scopes: Some(principal.scopes.names().iter().take(MAX_SCOPES).map(short).collect()),
            ..PresenceEntry::default()
        },
    }
}

/// Everybody gets the presence list, so what a client says about itself is shown in part if it is long.
const MAX_TEXT: usize = 160;
const MAX_SCOPES: usize = 32;

fn short(text: impl AsRef<str>) -> String {
    let text = text.as_ref();
    text.get(..text.floor_char_boundary(MAX_TEXT))
        .unwrap_or_default()
        .to_owned()
}
