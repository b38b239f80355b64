//! Bytes, varints and bits, written and read with every bound checked.

use super::{Result, damaged};

/// Bytes of a varint at most: 64 bits in groups of 7.
const VARINT_BYTES_MAX: u32 = 10;

#[derive(Default)]
pub(super) struct Writer {
    pub(super) buf: Vec<u8>,
}

impl Writer {
    pub(super) fn byte(&mut self, byte: u8) {
        self.buf.push(byte);
    }

    pub(super) fn raw(&mut self, bytes: &[u8]) {
        self.buf.extend_from_slice(bytes);
    }

    pub(super) fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.buf.push((value as u8) | 0x80);
            value >>= 7;
        }
        self.buf.push(value as u8);
    }

    pub(super) fn signed(&mut self, value: i64) {
        self.varint(zigzag(value));
    }

    pub(super) fn text(&mut self, text: &str) {
        self.varint(text.len() as u64);
        self.raw(text.as_bytes());
    }
}

#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { rest: bytes }
    }

    pub(super) fn left(&self) -> usize {
        self.rest.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(super) fn byte(&mut self) -> Result<u8> {
        let (first, rest) = self.rest.split_first().ok_or_else(too_short)?;
        self.rest = rest;
        Ok(*first)
    }

    pub(super) fn raw(&mut self, len: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or_else(too_short)?;
        self.rest = rest;
        Ok(taken)
    }

    pub(super) fn varint(&mut self) -> Result<u64> {
        let mut value = 0_u64;
        for group in 0..VARINT_BYTES_MAX {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if group == VARINT_BYTES_MAX - 1 && bits > 1 {
                break;
            }
            value |= bits << (group * 7);
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(damaged("a number is too large"))
    }

    pub(super) fn signed(&mut self) -> Result<i64> {
        self.varint().map(unzigzag)
    }

    /// A number of things that each take at least one of the bytes that are left.
    pub(super) fn count(&mut self) -> Result<usize> {
        let count = self.varint()?;
        usize::try_from(count).ok().filter(|count| *count <= self.left()).ok_or_else(too_short)
    }

    pub(super) fn text(&mut self) -> Result<&'a str> {
        let len = self.count()?;
        std::str::from_utf8(self.raw(len)?).map_err(|_| damaged("a text is not UTF-8"))
    }
}

fn too_short() -> super::StoredError {
    damaged("it ends too early")
}

/// Small numbers of either sign become small unsigned ones: 0, -1, 1, -2, 2 are 0, 1, 2, 3, 4.
pub(super) fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}

pub(super) fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -((value & 1).cast_signed())
}

/// Bits, most significant first; padded with zeros to a full byte at the end.
pub(super) struct BitWriter<'a> {
    out: &'a mut Vec<u8>,
    pending: u64,
    used: u32,
}

impl<'a> BitWriter<'a> {
    pub(super) fn new(out: &'a mut Vec<u8>) -> BitWriter<'a> {
        BitWriter { out, pending: 0, used: 0 }
    }

    /// The `count` low bits of `bits`, at most 32 of them.
    pub(super) fn put(&mut self, bits: u64, count: u32) {
        debug_assert!(count <= 32, "more would not fit beside a partial byte");
        self.pending = (self.pending << count) | (bits & ((1 << count) - 1));
        self.used += count;
        while self.used >= 8 {
            self.used -= 8;
            self.out.push((self.pending >> self.used) as u8);
        }
    }

    pub(super) fn finish(mut self) {
        if self.used > 0 {
            let padding = 8 - self.used;
            self.put(0, padding);
        }
    }
}

pub(super) struct BitReader<'a> {
    bytes: &'a [u8],
    taken: usize,
    pending: u64,
    have: u32,
}

impl<'a> BitReader<'a> {
    /// Reads bits from where `reader` stands.
    pub(super) fn new(reader: &Reader<'a>) -> BitReader<'a> {
        BitReader { bytes: reader.rest, taken: 0, pending: 0, have: 0 }
    }

    /// `count` bits, at most 32 of them.
    pub(super) fn take(&mut self, count: u32) -> Result<u64> {
        while self.have < count {
            let byte = self.bytes.get(self.taken).ok_or_else(too_short)?;
            self.taken += 1;
            self.pending = (self.pending << 8) | u64::from(*byte);
            self.have += 8;
        }
        self.have -= count;
        Ok((self.pending >> self.have) & ((1 << count) - 1))
    }

    /// Leaves the reader behind the last byte that bits were taken from.
    pub(super) fn finish(self, reader: &mut Reader<'a>) -> Result<()> {
        reader.raw(self.taken).map(|_| ())
    }
}

const CRC_TABLE: [u32; 256] = crc_table();

const fn crc_table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
}

/// CRC-32 as of RFC 1952 section 8.
pub(super) fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, byte| (crc >> 8) ^ CRC_TABLE[usize::from((crc as u8) ^ byte)])
}
