//! Sound for dialects that cannot hear it: refused where the caller just sent it, a word in its place in older messages.

use super::sampling::refused;
use crate::domain::model::{CallError, ModelCall};
use crate::domain::{Message, Part};

/// What is left of sound in older messages, which another model may have heard.
pub const OMITTED: &str = "[audio omitted]";

/// Fails if the newest message of the user holds sound.
pub fn refuse(call: &ModelCall, provider: &str) -> Result<(), CallError> {
    let newest = call.messages.iter().rev().find_map(|message| match &**message {
        Message::User { parts } => Some(parts),
        _ => None,
    });
    let is_sound = |part: &Part| matches!(part, Part::Audio { .. });
    if newest.is_some_and(|parts| parts.iter().any(is_sound)) {
        return Err(refused(provider, "input_audio", "cannot be heard through this API"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::models::fixtures::greeting;

    #[test]
    fn only_new_sound_is_refused() {
        let sound = Arc::new(Message::User {
            parts: vec![Part::Audio {
                format: "wav".into(),
                data: "QUJD".into(),
            }],
        });
        let mut call = greeting("m");
        call.messages.insert(0, Arc::clone(&sound));
        assert!(refuse(&call, "p").is_ok());
        call.messages.push(sound);
        let error = refuse(&call, "p").unwrap_err();
        assert!(error.message.starts_with("`input_audio`"), "{}", error.message);
    }
}
