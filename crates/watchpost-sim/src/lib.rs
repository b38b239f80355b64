//! A seeded virtual world that asserts the invariants.
