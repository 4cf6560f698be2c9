//! Identifiers as distinct types, so that a session key cannot be passed where a run id is meant.
//!
//! Each is a cheap clone (shared string) and serialises as the plain string.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

macro_rules! id_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Wraps a string that is known to be such an id.
            pub fn new(value: impl Into<Arc<str>>) -> Self {
                Self(value.into())
            }

            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer).map(Self::new)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

id_type!(
    /// A configured agent: `[a-z0-9][a-z0-9_-]{0,63}`.
    AgentId
);
id_type!(
    /// Canonical session key, lower case: `agent:<agent>:<rest>`.
    SessionKey
);
id_type!(
    /// One incarnation of a session; a reset keeps the key and changes this (UUID).
    SessionId
);
id_type!(
    /// One run of an agent. For `chat.send` and `agent` it is the client's idempotency key.
    RunId
);
id_type!(
    /// One WebSocket connection (UUID).
    ConnId
);
id_type!(
    /// A paired device: lower-case hex SHA-256 of its public key.
    DeviceId
);

impl RunId {
    /// A fresh random run id.
    pub fn random() -> Self {
        Self::new(uuid::Uuid::new_v4().to_string())
    }
}

impl SessionId {
    /// A fresh random session id.
    pub fn random() -> Self {
        Self::new(uuid::Uuid::new_v4().to_string())
    }
}

impl ConnId {
    /// A fresh random connection id.
    pub fn random() -> Self {
        Self::new(uuid::Uuid::new_v4().to_string())
    }
}

impl SessionKey {
    /// The agent part of `agent:<agent>:<rest>`, if the key has that form.
    pub fn agent(&self) -> Option<AgentId> {
        let rest = self.as_str().strip_prefix("agent:")?;
        let (agent, _) = rest.split_once(':')?;
        Some(AgentId::new(agent))
    }
}
