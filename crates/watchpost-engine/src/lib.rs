//! The asynchronous shell: a station per file.
