//! Method families: thin functions that unpack, call and shape.

pub mod core;
pub mod devices;
