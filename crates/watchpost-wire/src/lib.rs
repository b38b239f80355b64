//! Every byte that outlives a process, each kind with a version: configuration documents, API documents, stored rows.
//!
//! The core's types are not serialised; what is here converts to and from them at the edge, once.

pub mod api;
pub mod config;
pub mod stored;
pub mod tree;
