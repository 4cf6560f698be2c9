//! `gateway run`: from settings to a served gateway and back to an exit code.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::boot::{self, Booted, EXIT_TAKEN};
use super::build::{self, Gateway};
use super::config_desk::ConfigDesk;
use super::reload::{ReloadTask, keep_last_good};
use super::serve::{self, BindError, Limits, ListenAddress, Listeners, ServeSettings, Server, Tls, TlsError, TlsFiles};
use super::signals::{Request, Signals};
use super::sockets::{SelfHandshake, SocketGate};
use super::{drain, upkeep};
use crate::config::Snapshot;
use crate::config::types::logging::{ConsoleStyle as StyleSetting, LogLevel};
use crate::grpc::{self, ControlPorts};
use crate::http::{Management, Ports, RenderMetrics, Surface};
use crate::lifecycle::Phase;
use crate::settings::RunSettings;
use crate::store::Recovery;
use crate::telemetry::logs::{self, ConsoleStyle, LogControl};
use crate::telemetry::{LogSettings, MetricsHandle};

/// A second signal ends the process with this code: 128 + SIGTERM.
const EXIT_SIGNALLED: u8 = 143;

/// How long closing may still take after a second signal.
const LAST_MOMENT: Duration = Duration::from_secs(3);

/// Runs the gateway until it is told to stop.
pub fn run(settings: RunSettings) -> ExitCode {
    let booted = match boot::boot(&settings) {
        Ok(booted) => booted,
        Err(failure) => {
            complain(&failure.to_string());
            return failure.exit_code();
        }
    };
    let snapshot = &booted.started.loaded.snapshot;
    let log_control = logs::install(&log_settings(&settings, snapshot, booted.input.around.container));
    for flag in settings.without_effect() {
        tracing::warn!(target: "gateway", "{flag} has no effect in this version");
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("gateway")
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            complain(&format!("Gateway failed to start: no async runtime: {error}"));
            return ExitCode::from(1);
        }
    };
    let code = runtime.block_on(serve_until_stopped(booted, log_control));
    // What still blocks now (a hung name lookup, a slow disk) must not hold the process.
    runtime.shutdown_timeout(Duration::from_secs(1));
    code
}

#[expect(clippy::print_stderr, reason = "a refused start speaks before and without the log")]
fn complain(text: &str) {
    eprintln!("{text}");
}

async fn serve_until_stopped(booted: Booted, log_control: LogControl) -> ExitCode {
    match Box::pin(serve_gateway(booted, log_control)).await {
        Ok(code) => code,
        Err(error) => {
            complain(&format!("Gateway failed to start: {error:#}"));
            let taken = error
                .downcast_ref::<BindError>()
                .is_some_and(|error| matches!(error, BindError::InUse { .. }));
            ExitCode::from(if taken { EXIT_TAKEN } else { 1 })
        }
    }
}

async fn serve_gateway(booted: Booted, log_control: LogControl) -> anyhow::Result<ExitCode> {
    let Booted { input, started, lock } = booted;
    let snapshot = Arc::clone(&started.loaded.snapshot);
    let mut signals = Signals::listen()?;
    let metrics = MetricsHandle::install(crate::VERSION)?;

    // Sockets first: a port that is taken ends the start before anything else happens.
    let listeners = serve::bind(&main_addresses(&snapshot)).await?;
    let management = match snapshot.listen.management {
        Some(address) => Some(serve::bind(&[ListenAddress::required(address)]).await?),
        None => None,
    };
    let tls = open_tls(&snapshot).await?;
    let (desk, orders) = ConfigDesk::new();
    let gateway = build::build(Arc::clone(&snapshot), log_control, Arc::new(desk)).await?;
    let recovery = gateway.services.store.recover(gateway.services.clock.now_ms()).await?;

    let listening = Listening::start(&gateway, &snapshot, listeners, management, tls, &metrics);
    spawn_tasks(&gateway, &metrics)?;
    announce(&snapshot, &started.fallback, &listening, started.token_created);
    go(&gateway, &recovery);

    let (ask, asked) = mpsc::channel(1);
    let servers = listening.servers();
    let reload = ReloadTask {
        gateway: gateway.clone(),
        input,
        listening,
        asked,
        orders,
    };
    gateway.services.lifecycle.tasks.spawn(reload.run());
    keep_last_good(&snapshot, started.loaded.joined).await;

    let stopped_by = loop {
        match signals.next().await {
            Request::Stop(signal) => break signal,
            // A full channel means that a look is due anyway.
            Request::Reload => ask.try_send(()).unwrap_or_default(),
        }
    };
    let code = tokio::select! {
        () = drain::drain(&gateway, &servers, stopped_by) => ExitCode::SUCCESS,
        signal = impatient(&mut signals, &gateway) => {
            tracing::warn!(target: "shutdown", "{signal} received during shutdown; ending at once");
            ExitCode::from(EXIT_SIGNALLED)
        }
    };
    drop(lock);
    Ok(code)
}

/// A second signal. While runs are being waited for it ends the process at once; when only closing is left, closing is
/// given a moment, because cutting it would save nothing.
async fn impatient(signals: &mut Signals, gateway: &Gateway) -> &'static str {
    loop {
        if let Request::Stop(signal) = signals.next().await {
            if gateway.runs.live_count() == 0 {
                tokio::time::sleep(LAST_MOMENT).await;
            }
            return signal;
        }
    }
}

/// Handlers are ready: runs are welcome, and those of an earlier process go on.
fn go(gateway: &Gateway, recovery: &Recovery) {
    gateway.services.lifecycle.advance(Phase::Running);
    gateway.runs.resume(recovery);
    tracing::info!(target: "gateway", "ready");
}

fn spawn_tasks(gateway: &Gateway, metrics: &MetricsHandle) -> anyhow::Result<()> {
    let services = &gateway.services;
    let (tasks, stop) = (&services.lifecycle.tasks, &services.lifecycle.stop);
    tasks.spawn(services.hub.clone().run_ticks(stop.clone()));
    tasks.spawn(services.health.clone().run(stop.clone()));
    tasks.spawn(gateway.lag.clone().run(stop.clone()));
    tasks.spawn(gateway.probes.clone().run(stop.clone()));
    tasks.spawn(gateway.grpc_health.clone().run(stop.clone()));
    gateway.probes.liveness().watch(
        Arc::new(SelfHandshake {
            surface: gateway.control_plane.clone(),
        }),
        tokio::runtime::Handle::current(),
        stop.clone(),
    )?;
    upkeep::spawn(gateway, metrics.clone());
    Ok(())
}

fn announce(
    snapshot: &Snapshot,
    fallback: &Option<Box<crate::config::load::LoadError>>,
    listening: &Listening,
    token_created: bool,
) {
    for warning in &snapshot.warnings {
        tracing::warn!(target: "config", path = warning.path, "{}", warning.message);
    }
    if let Some(error) = fallback {
        tracing::error!(target: "config", "starting from the last good configuration: {error}");
    }
    if token_created {
        tracing::info!(target: "gateway", "generated a gateway token; show it with: cat {}", snapshot.paths.generated_token().display());
    }
    let addresses: Vec<String> = listening.main.addresses().iter().map(ToString::to_string).collect();
    tracing::info!(target: "gateway", version = crate::VERSION, "http server listening on {}", addresses.join(", "));
}

fn main_addresses(snapshot: &Snapshot) -> Vec<ListenAddress> {
    let mut addresses = snapshot.listen.addresses.iter();
    let first = addresses.next().copied().map(ListenAddress::required);
    first
        .into_iter()
        .chain(addresses.copied().map(ListenAddress::optional))
        .collect()
}

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
    fn start(
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
        });
        let settings = ServeSettings {
            limits: limits(snapshot),
            tls: tls.clone(),
        };
        let management_surface = Management::new(gateway.probes.clone(), render);
        Self {
            main: Server::start(listeners, surface, settings, &services.lifecycle),
            management: management.map(|listeners| {
                Server::start(
                    listeners,
                    management_surface.clone(),
                    ServeSettings::default(),
                    &services.lifecycle,
                )
            }),
            management_surface,
            gateway: gateway.clone(),
            tls,
        }
    }

    fn servers(&self) -> Vec<Server> {
        // The management listener stays up to the end: probes must see the drain.
        std::iter::once(self.main.clone()).collect()
    }

    /// Opens what the new configuration needs. On failure everything is as it was.
    pub(super) async fn prepare(
        &mut self,
        snapshot: &Snapshot,
        rebind: bool,
    ) -> Result<PreparedListening, ListenError> {
        let wanted = tls_files(snapshot);
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
            self.main.rebind(&main_addresses(snapshot)).await?;
            self.rebind_management(snapshot.listen.management).await?;
        }
        Ok(PreparedListening {
            settings: ServeSettings {
                limits: limits(snapshot),
                tls: self.tls.clone(),
            },
        })
    }

    async fn rebind_management(&mut self, wanted: Option<SocketAddr>) -> Result<(), BindError> {
        match (&self.management, wanted) {
            (Some(server), Some(address)) => server.rebind(&[ListenAddress::required(address)]).await,
            (Some(server), None) => {
                server.stop(Duration::from_secs(1)).await;
                self.management = None;
                Ok(())
            }
            (None, Some(address)) => {
                let listeners = serve::bind(&[ListenAddress::required(address)]).await?;
                let lifecycle = &self.gateway.services.lifecycle;
                let surface = self.management_surface.clone();
                self.management = Some(Server::start(listeners, surface, ServeSettings::default(), lifecycle));
                Ok(())
            }
            (None, None) => Ok(()),
        }
    }

    /// Puts prepared changes in force for new connections.
    pub(super) fn commit(&self, prepared: PreparedListening) {
        self.main.configure(prepared.settings);
    }
}

fn limits(snapshot: &Snapshot) -> Limits {
    let limits = &snapshot.config.gateway.limits;
    let count = |value: u32| usize::try_from(value).unwrap_or(usize::MAX);
    Limits {
        max_connections: count(limits.max_connections),
        max_header_bytes: count(limits.max_header_bytes),
        idle_timeout: Duration::from_millis(limits.idle_timeout_ms),
        header_timeout: Duration::from_millis(limits.header_timeout_ms),
    }
}

fn tls_files(snapshot: &Snapshot) -> Option<TlsFiles> {
    let tls = &snapshot.config.gateway.tls;
    if !tls.enabled {
        return None;
    }
    let mut files = TlsFiles::in_state_dir(&snapshot.state_dir, tls.auto_generate.unwrap_or(true));
    if let Some(path) = &tls.cert_path {
        files.cert = snapshot.paths.expand(path);
    }
    if let Some(path) = &tls.key_path {
        files.key = snapshot.paths.expand(path);
    }
    Some(files)
}

async fn open_tls(snapshot: &Snapshot) -> Result<Option<Arc<Tls>>, TlsError> {
    let Some(files) = tls_files(snapshot) else {
        return Ok(None);
    };
    match tokio::task::spawn_blocking(move || Tls::open(files)).await {
        Ok(opened) => opened.map(|tls| Some(Arc::new(tls))),
        Err(error) => Err(TlsError::Load(error.to_string())),
    }
}

const fn level_name(level: LogLevel) -> &'static str {
    match level {
        LogLevel::Silent => "silent",
        LogLevel::Fatal => "fatal",
        LogLevel::Error => "error",
        LogLevel::Warn => "warn",
        LogLevel::Info => "info",
        LogLevel::Debug => "debug",
        LogLevel::Trace => "trace",
    }
}

/// The level in force: environment, then configuration.
pub(super) fn console_level(snapshot: &Snapshot) -> String {
    const KNOWN: [&str; 7] = ["silent", "fatal", "error", "warn", "info", "debug", "trace"];
    if let Some(level) = snapshot
        .env
        .get("OPENCLAW_LOG_LEVEL")
        .filter(|level| KNOWN.contains(level))
    {
        return level.to_owned();
    }
    let logging = &snapshot.config.logging;
    level_name(logging.console_level.or(logging.level).unwrap_or(LogLevel::Info)).to_owned()
}

fn log_settings(settings: &RunSettings, snapshot: &Snapshot, container: bool) -> LogSettings {
    let level = match &settings.log_level {
        Some(level) => level.clone(),
        None if settings.verbose => "debug".to_owned(),
        None => console_level(snapshot),
    };
    let style = snapshot.config.logging.console_style.map(|style| match style {
        StyleSetting::Pretty => ConsoleStyle::Pretty,
        StyleSetting::Compact => ConsoleStyle::Compact,
        StyleSetting::Json => ConsoleStyle::Json,
    });
    LogSettings {
        level,
        style: style.or(container.then_some(ConsoleStyle::Json)),
    }
}
