//! Builds asked for in one container and done in another: the protocol, the client, and the builder.

pub mod children;
pub mod client;
pub mod credentials;
mod door;
mod environment;
pub mod flags;
mod identity;
pub mod isolation;
pub mod namespace;
pub mod operation;
pub mod paths;
pub mod policy;
pub mod protocol;
mod room;
pub mod sandbox;
pub mod server;
mod session;
mod stdio;
mod sweeper;
mod terminal;
mod turns;
mod variables;
mod watch;
mod work;
