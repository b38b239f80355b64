//! The HTTP face: API, live stream, metrics, dashboard.
