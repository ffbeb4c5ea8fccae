//! Builds asked for in one container and done in another: the protocol, the client, and the builder.

pub mod children;
pub mod client;
pub mod containerfile;
pub mod credentials;
pub mod docker;
pub mod flags;
pub mod namespace;
pub mod operation;
pub mod paths;
pub mod policy;
pub mod protocol;
pub mod reference;
pub mod sandbox;
pub mod server;
mod session;
mod stdio;
mod terminal;
mod work;
