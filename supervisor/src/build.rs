//! Image builds: what a job asks for in one container, and how the builder answers in another.

pub mod children;
pub mod client;
pub mod containerfile;
pub mod credentials;
pub mod docker;
pub mod flags;
pub mod inner;
pub mod namespace;
pub mod paths;
pub mod places;
pub mod policy;
pub mod protocol;
pub mod reference;
pub mod request;
pub mod room;
pub mod sandbox;
pub mod server;
mod session;
