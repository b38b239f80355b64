//! Stored rows, version 1: what a store writes and must be able to read for as long as the history is kept.
//!
//! * A *batch* ([`encode_batch`]) holds the results of one commit and hour, of many monitors: a row of the log.
//! * A *block* ([`encode_block`]) holds the results of one monitor and hour.
//! * A [`Strip`] holds a few results of one monitor in memory, cheap to append to. It has no version: it is never written.
//! * States, reasons and plan documents are JSON texts with a version in them ([`documents`]).
//!
//! Batches and blocks are tables stored by column: each column is delta-coded by itself, repeated texts are kept once in a
//! dictionary, and a column in which nothing differs from its default takes no space. The layout, in order: version (1
//! byte), form (1 byte), number of rows, due times, monitors (batches only), the set of columns present, those columns,
//! CRC-32 of all before (RFC 1952 section 8, 4 bytes little-endian). Numbers are LEB128 varints, signed ones zigzag-coded
//! first. Codes are stored by their stable words, so the order of an enum's variants means nothing here.
//!
//! Reading never panics and never allocates more than in proportion to the input: every row costs at least one bit.

mod bytes;
mod columns;
pub mod documents;
mod facts;
mod ints;
mod strip;
mod table;

pub use documents::{
    document_from_text, document_to_text, reason_from_text, reason_to_text, state_from_text, state_to_text,
};
pub use strip::Strip;
pub use table::{decode_batch, decode_block, encode_batch, encode_block};

/// The newest version of stored rows that this program writes and reads.
pub const VERSION: u32 = 1;

/// Why stored bytes could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoredError {
    /// A newer program wrote them.
    #[error("a stored {what} was written by a newer watchpost (version {found}, this one knows {VERSION})")]
    Newer {
        /// What was read.
        what: &'static str,
        /// Its version.
        found: u32,
    },
    /// They are not what was written.
    #[error("a stored {what} is damaged: {why}")]
    Damaged {
        /// What was read.
        what: &'static str,
        /// What is wrong with it.
        why: String,
    },
}

type Result<T> = std::result::Result<T, StoredError>;

/// The error of rows that are not what was written.
fn damaged(why: impl Into<String>) -> StoredError {
    StoredError::Damaged { what: "table of results", why: why.into() }
}

#[cfg(test)]
mod tests;
