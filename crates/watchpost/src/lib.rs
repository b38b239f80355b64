//! Watches services, tells the right people, and posts the truth.
