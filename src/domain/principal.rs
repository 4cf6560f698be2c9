//! Who is calling. Made only by `auth::Authenticator`; every surface takes it and nothing else.

use std::net::IpAddr;
use std::sync::{Arc, LazyLock};

use crate::base::DeviceId;

/// The two roles of the control plane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// A person or program that controls the gateway.
    Operator,
    /// A device that offers commands to agents.
    Node,
}

impl Role {
    /// The name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Node => "node",
        }
    }

    /// The role with this wire name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Operator, Self::Node]
            .into_iter()
            .find(|role| role.as_str() == name)
    }
}

/// Operator scopes. `Admin` implies all, `Write` implies `Read`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Scope {
    /// `operator.admin`
    Admin,
    /// `operator.read`
    Read,
    /// `operator.write`
    Write,
    /// `operator.approvals`
    Approvals,
    /// `operator.pairing`
    Pairing,
    /// `operator.talk.secrets`
    TalkSecrets,
    /// `operator.talk` (protocol 4)
    Talk,
    /// `operator.questions` (protocol 4)
    Questions,
}

impl Scope {
    /// Every scope, in declaration order.
    pub const ALL: [Self; 8] = [
        Self::Admin,
        Self::Read,
        Self::Write,
        Self::Approvals,
        Self::Pairing,
        Self::TalkSecrets,
        Self::Talk,
        Self::Questions,
    ];

    /// The name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "operator.admin",
            Self::Read => "operator.read",
            Self::Write => "operator.write",
            Self::Approvals => "operator.approvals",
            Self::Pairing => "operator.pairing",
            Self::TalkSecrets => "operator.talk.secrets",
            Self::Talk => "operator.talk",
            Self::Questions => "operator.questions",
        }
    }

    /// The scope with this wire name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == name)
    }

    const fn bit(self) -> u16 {
        1 << (self as u8)
    }
}

/// A set of scopes. Unknown names are kept so that they can be echoed, but grant nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScopeSet {
    bits: u16,
    /// Shared: every request has a set of its own.
    names: Arc<[String]>,
}

impl ScopeSet {
    /// No scopes at all.
    pub fn none() -> Self {
        Self::default()
    }

    /// Scopes from wire names, in the order given.
    pub fn from_names<S: AsRef<str>>(names: &[S]) -> Self {
        let mut bits = 0;
        let mut kept: Vec<String> = Vec::with_capacity(names.len());
        for name in names {
            let name = name.as_ref();
            if let Some(scope) = Scope::parse(name) {
                bits |= scope.bit();
            }
            if !kept.iter().any(|known| known == name) {
                kept.push(name.to_owned());
            }
        }
        Self {
            bits,
            names: kept.into(),
        }
    }

    /// Scopes from the enum.
    pub fn of(scopes: &[Scope]) -> Self {
        let names: Vec<&str> = scopes.iter().map(|scope| scope.as_str()).collect();
        Self::from_names(&names)
    }

    /// What a shared secret grants on HTTP: the operator's default scopes.
    pub fn operator_default() -> Self {
        static DEFAULT: LazyLock<ScopeSet> = LazyLock::new(|| {
            ScopeSet::of(&[
                Scope::Admin,
                Scope::Read,
                Scope::Write,
                Scope::Approvals,
                Scope::Pairing,
                Scope::TalkSecrets,
            ])
        });
        DEFAULT.clone()
    }

    /// Whether the set grants `scope`, counting what `admin` and `write` imply.
    pub fn allows(&self, scope: Scope) -> bool {
        if self.bits & Scope::Admin.bit() != 0 {
            return true;
        }
        let granted = match scope {
            Scope::Read => Scope::Read.bit() | Scope::Write.bit(),
            other => other.bit(),
        };
        self.bits & granted != 0
    }

    /// The names as they were given.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Whether no name was given.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }
}

/// How the caller proved itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AuthMethod {
    /// `gateway.auth.mode=none`.
    None,
    /// The shared token.
    Token,
    /// The shared password.
    Password,
    /// A user header set by a trusted proxy.
    TrustedProxy,
    /// A token issued to a paired device.
    DeviceToken,
}

/// An authenticated caller.
#[derive(Debug, Clone)]
pub struct Principal {
    /// Operator or node.
    pub role: Role,
    /// What it may do.
    pub scopes: ScopeSet,
    /// How it was authenticated.
    pub method: AuthMethod,
    /// The user named by the trusted proxy.
    pub user: Option<String>,
    /// The paired device, if it has one.
    pub device: Option<DeviceId>,
    /// The client's address after trusted proxies were unwound.
    pub client_ip: IpAddr,
    /// Loopback peer without forwarding headers.
    pub local_direct: bool,
}

impl Principal {
    /// Whether it may use something that needs `scope`.
    pub fn may(&self, scope: Scope) -> bool {
        self.scopes.allows(scope)
    }
}
