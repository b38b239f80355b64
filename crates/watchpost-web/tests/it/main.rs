//! The pages as callers see them: through the router, and over TCP where that matters.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod api;
mod guard;
mod metrics;
mod openapi;
mod pages;
mod refusals;
mod serve;
mod stream;
mod world;
