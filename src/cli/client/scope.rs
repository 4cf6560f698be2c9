//! The least scope that each method needs, so that a call never asks for more.
//!
//! The gateway decides; a method that is missing here (of a newer gateway) is asked for with the administrator's scope.

const READ: &str = "operator.read";
const WRITE: &str = "operator.write";
const ADMIN: &str = "operator.admin";
const APPROVALS: &str = "operator.approvals";
const PAIRING: &str = "operator.pairing";

/// Families whose methods all need one scope. Looked at after the exact names.
const FAMILIES: [(&str, &str); 12] = [
    ("exec.approvals.", ADMIN),
    ("exec.approval.", APPROVALS),
    ("plugin.approval.", APPROVALS),
    ("device.pair.", PAIRING),
    ("device.token.", PAIRING),
    ("node.pair.", PAIRING),
    ("doctor.memory.", WRITE),
    ("push.", WRITE),
    ("talk.realtime.", WRITE),
    ("config.", ADMIN),
    ("wizard.", ADMIN),
    ("update.", ADMIN),
];

const READERS: [&str; 62] = [
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
    "health",
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

const WRITERS: [&str; 24] = [
    "agent",
    "agent.wait",
    "chat.abort",
    "chat.send",
    "message.action",
    "node.invoke",
    "node.pending.enqueue",
    "poll",
    "send",
    "sessions.abort",
    "sessions.compaction.branch",
    "sessions.create",
    "sessions.send",
    "sessions.steer",
    "talk.mode",
    "talk.speak",
    "tools.invoke",
    "tts.convert",
    "tts.disable",
    "tts.enable",
    "tts.setPersona",
    "tts.setProvider",
    "voicewake.set",
    "wake",
];

/// The one scope to ask for when only `method` is called.
pub fn least_scope(method: &str) -> &'static str {
    if READERS.contains(&method) {
        return READ;
    }
    if WRITERS.contains(&method) || method == "voicewake.routing.set" {
        return WRITE;
    }
    if method == "node.rename" {
        return PAIRING;
    }
    FAMILIES
        .iter()
        .find(|(family, _)| method.starts_with(family))
        .map_or(ADMIN, |(_, scope)| scope)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exact_names_win_over_their_family() {
        assert_eq!(least_scope("config.get"), READ);
        assert_eq!(least_scope("config.patch"), ADMIN);
        assert_eq!(least_scope("doctor.memory.status"), READ);
        assert_eq!(least_scope("doctor.memory.backfillDreamDiary"), WRITE);
        assert_eq!(least_scope("exec.approvals.get"), ADMIN);
        assert_eq!(least_scope("exec.approval.list"), APPROVALS);
        assert_eq!(least_scope("device.token.rotate"), PAIRING);
    }

    #[test]
    fn an_unknown_method_asks_for_the_administrators_scope() {
        assert_eq!(least_scope("no.such.method"), ADMIN);
    }
}
