//! The listeners of the gateway, and what may change about them while it runs.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::build::Gateway;
use super::descriptors;
use super::serve::{self, BindError, Limits, ListenAddress, Listeners, ServeSettings, Server, Tls, TlsError};
use super::sockets::SocketGate;
use crate::config::{Snapshot, TlsFiles};
use crate::fetch::Fetcher;
use crate::grpc::{self, ControlPorts};
use crate::http::{Management, Ports, RenderMetrics, Surface};
use crate::telemetry::MetricsHandle;

/// Connections of the management listener at the same time.
const MANAGEMENT_CONNECTIONS: usize = 512;

/// The listeners and what may change about them.
pub(super) struct Listening {
    main: Server,
    management: Option<Server>,
    management_surface: Management,
    gateway: Gateway,
    tls: Option<Arc<Tls>>,
}

/// Prepared changes of the listeners.
pub(super) struct PreparedListening {
    settings: ServeSettings,
}

/// Why listeners could not be changed.
#[derive(Debug, thiserror::Error)]
pub(super) enum ListenError {
    /// Sockets.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// Certificates.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

impl Listening {
    /// Serves on `listeners` with every surface of the gateway.
    pub(super) fn start(
        gateway: &Gateway,
        snapshot: &Snapshot,
        listeners: Listeners,
        management: Option<Listeners>,
        tls: Option<Arc<Tls>>,
        metrics: &MetricsHandle,
    ) -> Self {
        let services = &gateway.services;
        let render: RenderMetrics = Arc::new({
            let metrics = metrics.clone();
            move || metrics.render()
        });
        let surface = Surface::new(Ports {
            live: services.live.clone(),
            gate: Arc::new(services.auth.clone()),
            runs: Arc::clone(&services.runs),
            embedder: Arc::new(gateway.runs.clone()),
            store: services.store.clone(),
            probes: gateway.probes.clone(),
            lifecycle: services.lifecycle.clone(),
            clock: Arc::clone(&services.clock),
            sockets: Arc::new(SocketGate {
                gateway: gateway.clone(),
                surface: gateway.control_plane.clone(),
            }),
            metrics: Arc::clone(&render),
            grpc: grpc::routes(
                ControlPorts {
                    live: services.live.clone(),
                    gate: Arc::new(services.auth.clone()),
                    runs: Arc::clone(&services.runs),
                    probes: gateway.probes.clone(),
                    lifecycle: services.lifecycle.clone(),
                },
                &gateway.grpc_health,
            ),
            fetcher: Fetcher::default(),
            tracer: gateway.tracer.clone(),
        });
        let settings = ServeSettings {
            limits: Limits {
                max_connections: descriptors::for_clients(snapshot),
                ..Limits::of(snapshot)
            },
            tls: tls.clone(),
        };
        let management_surface = Management::new(gateway.probes.clone(), render);
        Self {
            main: Server::start(listeners, surface, settings, &services.lifecycle),
            management: management.map(|listeners| {
                Server::start(
                    listeners,
                    management_surface.clone(),
                    management_settings(),
                    &services.lifecycle,
                )
            }),
            management_surface,
            gateway: gateway.clone(),
            tls,
        }
    }

    /// Where the main listener listens.
    pub(super) fn addresses(&self) -> Vec<String> {
        self.main.addresses().iter().map(ToString::to_string).collect()
    }

    /// Servers that a drain closes.
    pub(super) fn servers(&self) -> Vec<Server> {
        // The management listener stays up to the end: probes must see the drain.
        std::iter::once(self.main.clone()).collect()
    }

    /// Opens what the new configuration needs. On failure everything is as it was.
    pub(super) async fn prepare(
        &mut self,
        snapshot: &Snapshot,
        rebind: bool,
    ) -> Result<PreparedListening, ListenError> {
        let wanted = TlsFiles::of(&snapshot.config.gateway.tls, &snapshot.paths);
        if self.tls.as_ref().map(|tls| tls.files()) != wanted.as_ref() {
            self.tls = open_tls(snapshot).await?;
        } else if let Some(tls) = self.tls.clone() {
            // The same paths may hold a new certificate.
            match tokio::task::spawn_blocking(move || tls.reload()).await {
                Ok(reloaded) => reloaded?,
                Err(error) => return Err(TlsError::Load(error.to_string()).into()),
            }
        }
        if rebind {
            let before = self.main.addresses();
            self.main.rebind(&listen_addresses(&snapshot.listen.addresses)).await?;
            if let Err(error) = self.rebind_management(&snapshot.listen.management).await {
                self.put_back(&before).await;
                return Err(error.into());
            }
        }
        Ok(PreparedListening {
            settings: ServeSettings {
                limits: Limits::of(snapshot),
                tls: self.tls.clone(),
            },
        })
    }

    /// Listens where it did `before`, because the rest of a change could not be carried out.
    async fn put_back(&self, before: &[SocketAddr]) {
        let wanted: Vec<ListenAddress> = before.iter().copied().map(ListenAddress::required).collect();
        if let Err(error) = self.main.rebind(&wanted).await {
            tracing::error!(target: "gateway", %error, "the former address could not be opened again");
        }
    }

    async fn rebind_management(&mut self, wanted: &[SocketAddr]) -> Result<(), BindError> {
        let addresses = listen_addresses(wanted);
        match &self.management {
            Some(server) if addresses.is_empty() => {
                server.stop(Duration::from_secs(1)).await;
                self.management = None;
            }
            Some(server) => server.rebind(&addresses).await?,
            None if addresses.is_empty() => {}
            None => {
                let listeners = serve::bind(&addresses).await?;
                let lifecycle = &self.gateway.services.lifecycle;
                let surface = self.management_surface.clone();
                self.management = Some(Server::start(listeners, surface, management_settings(), lifecycle));
            }
        }
        Ok(())
    }

    /// Puts prepared changes in force for new connections.
    pub(super) fn commit(&self, prepared: PreparedListening) {
        self.main.configure(prepared.settings);
    }
}

/// Probes and metrics need few connections.
fn management_settings() -> ServeSettings {
    ServeSettings {
        limits: Limits {
            max_connections: MANAGEMENT_CONNECTIONS,
            ..Limits::default()
        },
        tls: None,
    }
}

/// What to open for resolved addresses: the first is needed, the others are welcome.
pub(super) fn listen_addresses(resolved: &[SocketAddr]) -> Vec<ListenAddress> {
    let mut addresses = resolved.iter().copied();
    let first = addresses.next().map(ListenAddress::required);
    first
        .into_iter()
        .chain(addresses.map(ListenAddress::optional))
        .collect()
}

/// The certificate in force, if TLS is on.
pub(super) async fn open_tls(snapshot: &Snapshot) -> Result<Option<Arc<Tls>>, TlsError> {
    let Some(files) = TlsFiles::of(&snapshot.config.gateway.tls, &snapshot.paths) else {
        return Ok(None);
    };
    match tokio::task::spawn_blocking(move || Tls::open(files)).await {
        Ok(opened) => opened.map(|tls| Some(Arc::new(tls))),
        Err(error) => Err(TlsError::Load(error.to_string())),
    }
}
