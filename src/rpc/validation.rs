//! Parameters: from JSON text to a typed value, or to an error in the words that clients of the protocol know.
//!
//! A [`Shape`] is compiled once per parameter type from its generated JSON schema. Everything that is wrong is reported,
//! in the documented order: required keys, unexpected keys, then the values in schema order.

mod check;
mod schema;
#[cfg(test)]
mod tests;

use std::marker::PhantomData;

use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::RawValue;

use self::schema::Node;
use crate::domain::Fault;
use crate::wire::bulk;

/// The compiled schema of a parameter type.
#[derive(Debug)]
pub struct Shape<P> {
    node: Node,
    /// Whether the schema says nothing that serde would not find out itself.
    plain: bool,
    params: PhantomData<fn() -> P>,
}

impl<P: DeserializeOwned + schemars::JsonSchema> Shape<P> {
    /// Compiles the schema of `P`.
    pub fn new() -> Self {
        let node = schema::compile(schemars::schema_for!(P).as_value());
        Self {
            plain: node.is_plain(),
            node,
            params: PhantomData,
        }
    }

    /// Parses the params of `method`.
    pub fn parse(&self, method: &str, raw: &RawValue) -> Result<P, Fault> {
        if bulk::is_bulky(raw.get()) {
            let most = bulk::MOST_VALUES;
            return Err(refused(method, &format!("must hold at most {most} values")));
        }
        if self.plain
            && let Ok(params) = serde_json::from_str(raw.get())
        {
            return Ok(params);
        }
        let value: Value = serde_json::from_str(raw.get()).map_err(|error| refused(method, &error.to_string()))?;
        let errors = check::errors(&self.node, &value);
        if !errors.is_empty() {
            return Err(refused(method, &errors.join("; ")));
        }
        // What the schema cannot express (number ranges of the Rust type, tagged unions) still has a path and a reason.
        serde_path_to_error::deserialize(value).map_err(|error| {
            let path = error.path().to_string();
            let place = if path == "." {
                String::new()
            } else {
                format!("at /{}: ", path.replace('.', "/"))
            };
            refused(method, &format!("{place}{}", error.inner()))
        })
    }
}

impl<P: DeserializeOwned + schemars::JsonSchema> Default for Shape<P> {
    fn default() -> Self {
        Self::new()
    }
}

/// Params of methods that take none and ignore what they get.
#[derive(Debug, Clone, Copy, serde::Deserialize, schemars::JsonSchema)]
pub struct NoParams {}

fn refused(method: &str, errors: &str) -> Fault {
    Fault::invalid(format!("invalid {method} params: {errors}"))
}
