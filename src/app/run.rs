//! `gateway run`: from settings to a served gateway and back to an exit code.

use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::boot::{self, Booted, EXIT_TAKEN};
use super::build::{self, Gateway, Wishes};
use super::config_desk::ConfigDesk;
use super::listening::{Listening, listen_addresses, open_tls};
use super::logs::Logs;
use super::reload::{ReloadTask, keep_last_good};
use super::serve::{self, BindError};
use super::signals::{Request, Signals};
use super::sockets::SelfHandshake;
use super::{drain, reaper, upkeep};
use crate::agent::RawStream;
use crate::config::Snapshot;
use crate::lifecycle::Phase;
use crate::otlp::Sources;
use crate::rpc::WsLog;
use crate::settings::{RunSettings, WsLogStyle};
use crate::store::Recovery;
use crate::telemetry::MetricsHandle;
use crate::telemetry::events::config_in_force;

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
    let logs = Logs::install(&settings, snapshot, booted.input.around.container);
    for line in &booted.done {
        tracing::info!(target: "gateway", "{line}");
    }
    for (flag, reason) in settings.without_effect() {
        tracing::warn!(target: "gateway", "{flag} has no effect: {reason}");
    }
    let raw_stream = match raw_stream(&settings, snapshot) {
        Ok(raw_stream) => raw_stream,
        Err(failure) => {
            logs.flush();
            complain(&failure);
            return ExitCode::from(1);
        }
    };
    let wishes = Wishes {
        raw_stream: raw_stream.clone(),
        ws_log: ws_log(&settings),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("gateway")
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            logs.flush();
            complain(&format!("Gateway failed to start: no async runtime: {error}"));
            return ExitCode::from(1);
        }
    };
    let code = runtime.block_on(serve_until_stopped(booted, logs.clone(), wishes));
    // What still blocks now (a hung name lookup, a slow disk) must not hold the process.
    runtime.shutdown_timeout(Duration::from_secs(1));
    if let Some(raw_stream) = raw_stream {
        raw_stream.flush();
    }
    logs.flush();
    code
}

/// The dump of model events, if flags or environment ask for one.
fn raw_stream(settings: &RunSettings, snapshot: &Snapshot) -> Result<Option<RawStream>, String> {
    let env = &snapshot.env;
    let named = settings.raw_stream_path.clone().or_else(|| {
        env.get("OPENCLAW_RAW_STREAM_PATH")
            .map(|path| snapshot.paths.expand(path))
    });
    if !settings.raw_stream && settings.raw_stream_path.is_none() && !env.is_truthy("OPENCLAW_RAW_STREAM") {
        return Ok(None);
    }
    let path = named.unwrap_or_else(|| snapshot.state_dir.join("logs").join("raw-stream.jsonl"));
    match RawStream::open(path.clone()) {
        Ok(raw_stream) => {
            tracing::warn!(target: "gateway", path = %path.display(), "model streams are written to a file, content included");
            Ok(Some(raw_stream))
        }
        Err(error) => Err(format!(
            "Gateway failed to start: cannot write the raw stream to {}: {error} (choose another file with \
             --raw-stream-path)",
            path.display()
        )),
    }
}

fn ws_log(settings: &RunSettings) -> WsLog {
    match settings.ws_log {
        WsLogStyle::Auto if settings.verbose => WsLog::Compact,
        WsLogStyle::Auto => WsLog::Problems,
        WsLogStyle::Compact => WsLog::Compact,
        WsLogStyle::Full => WsLog::Full,
    }
}

#[expect(clippy::print_stderr, reason = "a refused start speaks before and without the log")]
fn complain(text: &str) {
    eprintln!("{text}");
}

async fn serve_until_stopped(booted: Booted, logs: Logs, wishes: Wishes) -> ExitCode {
    match Box::pin(serve_gateway(booted, logs.clone(), wishes)).await {
        Ok(code) => code,
        Err(error) => {
            // What led to it stands before it.
            logs.flush();
            complain(&format!("Gateway failed to start: {error:#}"));
            let taken = error
                .downcast_ref::<BindError>()
                .is_some_and(|error| matches!(error, BindError::InUse { .. }));
            ExitCode::from(if taken { EXIT_TAKEN } else { 1 })
        }
    }
}

async fn serve_gateway(booted: Booted, logs: Logs, wishes: Wishes) -> anyhow::Result<ExitCode> {
    let Booted {
        input, started, lock, ..
    } = booted;
    let snapshot = Arc::clone(&started.loaded.snapshot);
    let mut signals = Signals::listen()?;
    let metrics = MetricsHandle::install(crate::VERSION)?;
    config_in_force(snapshot.generation);

    // Sockets first: a port that is taken ends the start before anything else happens.
    let listeners = serve::bind(&listen_addresses(&snapshot.listen.addresses)).await?;
    let management = match listen_addresses(&snapshot.listen.management) {
        addresses if addresses.is_empty() => None,
        addresses => Some(serve::bind(&addresses).await?),
    };
    let tls = open_tls(&snapshot).await?;
    let (desk, orders) = ConfigDesk::new();
    let gateway = build::build(Arc::clone(&snapshot), logs, Arc::new(desk), wishes).await?;
    let recovery = gateway.services.store.recover(gateway.services.clock.now_ms()).await?;

    let listening = Listening::start(&gateway, &snapshot, listeners, management, tls, &metrics);
    spawn_tasks(&gateway, &metrics);
    announce(&snapshot, &started.fallback, &listening, started.token_created);
    go(&gateway, &recovery)?;

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
fn go(gateway: &Gateway, recovery: &Recovery) -> io::Result<()> {
    let lifecycle = &gateway.services.lifecycle;
    lifecycle.advance(Phase::Running);
    // Not earlier: a gateway that starts refuses handshakes.
    gateway.probes.liveness().watch(
        Arc::new(SelfHandshake {
            surface: gateway.control_plane.clone(),
        }),
        tokio::runtime::Handle::current(),
        lifecycle.stop.clone(),
    )?;
    gateway.runs.resume(recovery);
    tracing::info!(target: "gateway", "ready");
    Ok(())
}

fn spawn_tasks(gateway: &Gateway, metrics: &MetricsHandle) {
    let services = &gateway.services;
    let (tasks, stop) = (&services.lifecycle.tasks, &services.lifecycle.stop);
    tasks.spawn(services.hub.clone().run_ticks(stop.clone()));
    tasks.spawn(services.health.clone().run(stop.clone()));
    tasks.spawn(gateway.lag.clone().run(stop.clone()));
    tasks.spawn(gateway.probes.clone().run(stop.clone()));
    tasks.spawn(gateway.grpc_health.clone().run(stop.clone()));
    tasks.spawn(reaper::run(stop.clone()));
    let sources = Sources {
        tracer: gateway.tracer.clone(),
        logs: gateway.logs.mirror(),
        metrics: {
            let metrics = metrics.clone();
            Arc::new(move || metrics.render())
        },
    };
    tasks.spawn(gateway.exporter.clone().run(sources, stop.clone()));
    upkeep::spawn(gateway, metrics.clone());
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
        tracing::info!(target: "gateway", "generated a gateway token; show it with: openclaw gateway token");
    }
    tracing::info!(target: "gateway", version = crate::VERSION, "http server listening on {}", listening.addresses().join(", "));
}
