//! A column of whole numbers: how far each lies from a common value or from the one before, in Rice code.
//!
//! Latencies scatter around a value, so the distance costs about log2 of the scatter; counters and grids repeat, so theirs
//! cost one bit or nothing. Layout: mode and Rice parameter (1 byte), base (signed varint), then the bits, padded.

use super::bytes::{BitReader, BitWriter, Reader, Writer, unzigzag, zigzag};
use super::{Result, damaged};

/// A quotient of so many ones is not one: the whole number follows in 64 bits. Keeps one outlier cheap.
const QUOTIENT_MAX: u64 = 24;
/// Largest Rice parameter; distances beyond 2^40 are outliers anyway.
const RICE_MAX: u32 = 40;

/// All are equal to the base.
const CONSTANT: u8 = 0;
/// Distances from the base, which is the median.
const AROUND: u8 = 1;
/// Distances from the one before; the base is the first.
const STEPS: u8 = 2;

struct Coding {
    mode: u8,
    base: i64,
    rice: u32,
    distances: Vec<u64>,
    bits: u64,
}

/// Writes a column in the cheapest way. With `bit_per_row` every value costs a bit at least (but the first one).
pub(super) fn put_ints(out: &mut Writer, values: &[i64], bit_per_row: bool) {
    let Some(first) = values.first() else { return };
    if !bit_per_row && values.iter().all(|v| v == first) {
        out.byte(CONSTANT);
        out.signed(*first);
        return;
    }
    let around = around(values);
    let steps = steps(*first, values);
    let best = if steps.bits < around.bits { steps } else { around };
    out.byte((best.mode << 6) | best.rice as u8);
    out.signed(best.base);
    let mut bits = BitWriter::new(&mut out.buf);
    for distance in best.distances {
        put_rice(&mut bits, distance, best.rice);
    }
    bits.finish();
}

fn around(values: &[i64]) -> Coding {
    let mut sorted = values.to_vec();
    let middle = sorted.len() / 2;
    let base = *sorted.select_nth_unstable(middle).1;
    coding(AROUND, base, values.iter().map(|v| zigzag(v.wrapping_sub(base))).collect())
}

fn steps(first: i64, values: &[i64]) -> Coding {
    let pairs = values.iter().zip(values.iter().skip(1));
    coding(STEPS, first, pairs.map(|(a, b)| zigzag(b.wrapping_sub(*a))).collect())
}

/// Picks the Rice parameter: near log2 of the mean, which is where the optimum of a geometric distribution lies.
fn coding(mode: u8, base: i64, distances: Vec<u64>) -> Coding {
    let sum: u128 = distances.iter().map(|d| u128::from(*d)).sum();
    let mean = sum / (distances.len() as u128).max(1);
    let guess = (128 - mean.leading_zeros()).saturating_sub(1);
    let candidates = guess.saturating_sub(3)..=(guess + 1).min(RICE_MAX);
    let (bits, rice) = candidates
        .map(|rice| (distances.iter().map(|d| rice_bits(*d, rice)).sum::<u64>(), rice))
        .min()
        .unwrap_or((u64::MAX, RICE_MAX));
    Coding { mode, base, rice, distances, bits }
}

fn rice_bits(distance: u64, rice: u32) -> u64 {
    match distance >> rice {
        quotient if quotient < QUOTIENT_MAX => quotient + 1 + u64::from(rice),
        _ => QUOTIENT_MAX + 64,
    }
}

fn put_rice(bits: &mut BitWriter<'_>, distance: u64, rice: u32) {
    let quotient = distance >> rice;
    if quotient < QUOTIENT_MAX {
        let ones = quotient as u32;
        bits.put((1 << (ones + 1)) - 2, ones + 1);
        if rice > 32 {
            bits.put(distance >> 32, rice - 32);
        }
        bits.put(distance, rice.min(32));
    } else {
        bits.put((1 << QUOTIENT_MAX) - 1, QUOTIENT_MAX as u32);
        bits.put(distance >> 32, 32);
        bits.put(distance, 32);
    }
}

/// Reads a column of `count` numbers. The caller has made sure that `count` is in proportion to the input.
pub(super) fn take_ints(input: &mut Reader<'_>, count: usize) -> Result<Vec<i64>> {
    if count == 0 {
        return Ok(Vec::new());
    }
    let head = input.byte()?;
    let base = input.signed()?;
    let (mode, rice) = (head >> 6, u32::from(head & 0x3f));
    if rice > RICE_MAX {
        return Err(damaged("a column's parameter is out of range"));
    }
    let mut values = Vec::with_capacity(count);
    match mode {
        CONSTANT => values.resize(count, base),
        AROUND => {
            let mut bits = BitReader::new(input);
            for _ in 0..count {
                values.push(base.wrapping_add(unzigzag(take_rice(&mut bits, rice)?)));
            }
            bits.finish(input)?;
        }
        STEPS => {
            let mut bits = BitReader::new(input);
            let mut last = base;
            values.push(last);
            for _ in 1..count {
                last = last.wrapping_add(unzigzag(take_rice(&mut bits, rice)?));
                values.push(last);
            }
            bits.finish(input)?;
        }
        _ => return Err(damaged("a column is coded in an unknown way")),
    }
    Ok(values)
}

fn take_rice(bits: &mut BitReader<'_>, rice: u32) -> Result<u64> {
    let mut quotient = 0;
    while quotient < QUOTIENT_MAX && bits.take(1)? == 1 {
        quotient += 1;
    }
    if quotient == QUOTIENT_MAX {
        return Ok((bits.take(32)? << 32) | bits.take(32)?);
    }
    let high = if rice > 32 { bits.take(rice - 32)? << 32 } else { 0 };
    Ok((quotient << rice) | high | bits.take(rice.min(32))?)
}

/// Writes numbers that may be absent: which are there (0 none, 1 all, 2 as the bitmap says), then those that are.
/// Returns false, and writes nothing, when all are absent.
pub(super) fn put_options(out: &mut Writer, values: &[Option<i64>]) -> bool {
    let present: Vec<i64> = values.iter().flatten().copied().collect();
    if present.is_empty() {
        return false;
    }
    if present.len() == values.len() {
        out.byte(1);
    } else {
        out.byte(2);
        let mut bits = BitWriter::new(&mut out.buf);
        for value in values {
            bits.put(u64::from(value.is_some()), 1);
        }
        bits.finish();
    }
    put_ints(out, &present, false);
    true
}

/// Reads what [`put_options`] wrote.
pub(super) fn take_options(input: &mut Reader<'_>, count: usize) -> Result<Vec<Option<i64>>> {
    let present = match input.byte()? {
        1 => return Ok(take_ints(input, count)?.into_iter().map(Some).collect()),
        2 => {
            let mut bits = BitReader::new(input);
            let present = (0..count).map(|_| bits.take(1).map(|b| b == 1)).collect::<Result<Vec<bool>>>()?;
            bits.finish(input)?;
            present
        }
        _ => return Err(damaged("a column is present in an unknown way")),
    };
    let mut values = take_ints(input, present.iter().filter(|p| **p).count())?.into_iter();
    Ok(present.into_iter().map(|there| if there { values.next() } else { None }).collect())
}
