//! Who may call the methods of the protocol, whether this gateway serves them or not.
//!
//! One table for the gateway, which decides, and for the command line, which never asks for more than a call needs.
//! Names that need `operator.admin` are left out: that is the rule for everything unknown.

use super::Scope;

/// Who may call a method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Any authenticated connection.
    Anyone,
    /// Role operator with this scope.
    Operator(Scope),
    /// Role node.
    Node,
}

/// Access of a method of the protocol; `None`: not listed here.
pub fn of_protocol(name: &str) -> Option<Access> {
    if name == "health" {
        return Some(Access::Anyone);
    }
    if NODE.contains(&name) {
        return Some(Access::Node);
    }
    let scopes = [
        (READ, Scope::Read),
        (WRITE, Scope::Write),
        (PAIRING, Scope::Pairing),
        (APPROVALS, Scope::Approvals),
    ];
    scopes
        .into_iter()
        .find(|(names, _)| names.contains(&name))
        .map(|(_, scope)| Access::Operator(scope))
}

const READ: &[&str] = &[
    "agent.identity.get",
    "agents.files.get",
    "agents.files.list",
    "agents.list",
    "artifacts.download",
    "artifacts.get",
    "artifacts.list",
    "assistant.media.get",
    "channels.status",
    "chat.history",
    "chat.metadata",
    "chat.startup",
    "commands.list",
    "config.get",
    "config.schema.lookup",
    "cron.list",
    "cron.runs",
    "cron.status",
    "diagnostics.stability",
    "doctor.memory.dreamDiary",
    "doctor.memory.remHarness",
    "doctor.memory.status",
    "gateway.identity.get",
    "gateway.restart.preflight",
    "last-heartbeat",
    "logs.tail",
    "models.authStatus",
    "models.list",
    "node.describe",
    "node.list",
    "plugins.uiDescriptors",
    "sessions.compaction.get",
    "sessions.compaction.list",
    "sessions.describe",
    "sessions.get",
    "sessions.list",
    "sessions.messages.subscribe",
    "sessions.messages.unsubscribe",
    "sessions.preview",
    "sessions.resolve",
    "sessions.subscribe",
    "sessions.unsubscribe",
    "sessions.usage",
    "sessions.usage.logs",
    "sessions.usage.timeseries",
    "skills.detail",
    "skills.search",
    "skills.status",
    "status",
    "system-presence",
    "system.info",
    "talk.config",
    "tools.catalog",
    "tools.effective",
    "tts.personas",
    "tts.providers",
    "tts.status",
    "usage.cost",
    "usage.status",
    "voicewake.get",
    "voicewake.routing.get",
];

const WRITE: &[&str] = &[
    "agent",
    "agent.wait",
    "chat.abort",
    "chat.send",
    "doctor.memory.backfillDreamDiary",
    "doctor.memory.dedupeDreamDiary",
    "doctor.memory.repairDreamingArtifacts",
    "doctor.memory.resetDreamDiary",
    "doctor.memory.resetGroundedShortTerm",
    "message.action",
    "node.invoke",
    "node.pending.enqueue",
    "poll",
    "push.test",
    "push.web.subscribe",
    "push.web.test",
    "push.web.unsubscribe",
    "push.web.vapidPublicKey",
    "send",
    "sessions.abort",
    "sessions.compaction.branch",
    "sessions.create",
    "sessions.send",
    "sessions.steer",
    "talk.mode",
    "talk.realtime.relayAudio",
    "talk.realtime.relayMark",
    "talk.realtime.relayStop",
    "talk.realtime.relayToolResult",
    "talk.realtime.session",
    "talk.speak",
    "tools.invoke",
    "tts.convert",
    "tts.disable",
    "tts.enable",
    "tts.setPersona",
    "tts.setProvider",
    "voicewake.routing.set",
    "voicewake.set",
    "wake",
];

const PAIRING: &[&str] = &[
    "device.pair.approve",
    "device.pair.list",
    "device.pair.reject",
    "device.pair.remove",
    "device.token.revoke",
    "device.token.rotate",
    "node.pair.approve",
    "node.pair.list",
    "node.pair.reject",
    "node.pair.remove",
    "node.pair.request",
    "node.pair.verify",
    "node.rename",
];

const APPROVALS: &[&str] = &[
    "exec.approval.get",
    "exec.approval.list",
    "exec.approval.request",
    "exec.approval.resolve",
    "exec.approval.waitDecision",
    "plugin.approval.list",
    "plugin.approval.request",
    "plugin.approval.resolve",
    "plugin.approval.waitDecision",
];

const NODE: &[&str] = &[
    "node.canvas.capability.refresh",
    "node.event",
    "node.invoke.result",
    "node.pending.ack",
    "node.pending.drain",
    "node.pending.pull",
    "skills.bins",
];
