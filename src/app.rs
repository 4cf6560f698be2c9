//! The composition root: builds the gateway from its parts and runs it.

pub mod serve;
