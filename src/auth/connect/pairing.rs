//! When a device needs a person's approval, and when none.
//!
//! Silent approval is for what happens on this machine. It never gives a device more than its owner could take anyway.

use ipnet::IpNet;

use super::asking::Asking;
use super::refusal::PairingReason;
use crate::auth::devices::record::{Ask, PairedDevice};
use crate::auth::scopes;
use crate::auth::shared::Proof;
use crate::base::net;
use crate::domain::{AuthMethod, Role};

/// What stands between a proven device and the gateway.
pub enum Obstacle {
    /// Nothing: it is paired.
    None,
    /// An approval that needs no person.
    Silent,
    /// A person.
    Person(PairingReason),
}

/// Finds it. The first that needs a person decides.
pub fn obstacle(
    asking: &Asking<'_>,
    ask: &Ask,
    known: Option<&PairedDevice>,
    proof: &Proof,
    node_auto_approve: &[IpNet],
) -> Obstacle {
    // Whom a proxy names is wherever the proxy's users are, even if it forwards without saying so.
    let local = proof.method != AuthMethod::TrustedProxy
        && asking.is_local(proof.is_secret())
        && (!asking.has_origin || asking.is_control_ui() || asking.is_webchat());
    let Some(known) = known else {
        // A node without scopes from a network that the operator named.
        let trusted_node = !asking.is_operator()
            && asking.scopes.is_empty()
            && !asking.has_origin
            && net::contains(node_auto_approve, asking.facts.client_ip);
        return if local || trusted_node {
            Obstacle::Silent
        } else {
            Obstacle::Person(PairingReason::NotPaired)
        };
    };
    let mut silent = false;
    if !known.has_metadata_of(ask) {
        if !(asking.is_native_app() && asking.facts.local_direct) {
            return Obstacle::Person(PairingReason::MetadataUpgrade);
        }
        silent = true;
    }
    let role_is_new = !known.ask.roles.contains(&ask.role);
    if known.token(asking.role).is_none() {
        if !local {
            return Obstacle::Person(PairingReason::RoleUpgrade);
        }
        silent = true;
    }
    // The scopes of a role that was never approved are part of asking for the role.
    if !role_is_new && !scopes::covers_all(&known.ask.scopes, &asking.scopes) {
        if !may_widen(asking, known, proof) {
            return Obstacle::Person(PairingReason::ScopeUpgrade);
        }
        silent = true;
    }
    if silent { Obstacle::Silent } else { Obstacle::None }
}

/// Whether more scopes are approved without a person: the command line on this machine that holds the shared secret
/// asks for the scopes of one command at a time, and with that secret it could have all of them at once. A device that
/// was approved to do nothing stays like that until a person says otherwise.
fn may_widen(asking: &Asking<'_>, known: &PairedDevice, proof: &Proof) -> bool {
    asking.is_cli()
        && asking.is_operator()
        && asking.is_local_program()
        && proof.is_secret()
        && known
            .token(Role::Operator)
            .is_some_and(|token| !token.scopes.is_empty())
}
