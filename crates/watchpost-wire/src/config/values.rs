//! Values of the document: each is parsed where it is read, so that a problem is told at its place, and each says its
//! form in the JSON Schema. Where a value may come from `${NAME}`, the schema takes that too.

use std::fmt;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};

use watchpost_core::time::millis;

/// What a value filled in from the environment looks like before it is filled in.
const VARIABLE: &str = r"\$\{";

const UNITS: [(&str, u64); 7] = [
    ("ms", 1),
    ("s", 1_000),
    ("m", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
    ("w", 604_800_000),
    ("y", 31_536_000_000),
];

/// Parses a duration: numbers with the units `ms s m h d w y` (a year has 365 days), largest first: `1h30m`, `1.5s`.
///
/// # Errors
/// Says what is wrong and how to write it. The result is whole milliseconds.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let trimmed = text.trim();
    if !trimmed.is_empty() && trimmed.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
        return Err(format!("`{trimmed}` has no unit; write `{trimmed}s` for seconds"));
    }
    let bad = || format!("`{trimmed}` is not a duration; write for example 30s, 1.5s, 5m, 1h30m or 7d");
    let mut total: u64 = 0;
    let mut last_unit = u64::MAX;
    let mut rest = trimmed;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(bad)?;
        let (number, after) = rest.split_at(digits);
        let letters = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
        let (word, tail) = after.split_at(letters);
        let (_, unit) = UNITS.into_iter().find(|(name, _)| *name == word).ok_or_else(bad)?;
        if unit >= last_unit {
            return Err(bad());
        }
        let part = scaled(number, unit).ok_or_else(bad)?;
        total = total.checked_add(part).ok_or_else(bad)?;
        last_unit = unit;
        rest = tail;
    }
    match last_unit {
        u64::MAX => Err(bad()),
        _ => Ok(Duration::from_millis(total)),
    }
}

/// `number * unit`, when that is a whole number.
fn scaled(number: &str, unit: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    // Numbers of Rust may have a sign, ours do not.
    if number.contains('+') || whole.is_empty() || number.ends_with('.') || fraction.len() > 9 {
        return None;
    }
    let whole = whole.parse::<u64>().ok()?.checked_mul(unit)?;
    let digits = u32::try_from(fraction.len()).ok()?;
    let part = match fraction {
        "" => 0,
        fraction => fraction.parse::<u64>().ok()?.checked_mul(unit)?,
    };
    let scale = 10_u64.checked_pow(digits)?;
    (part % scale == 0).then(|| whole.checked_add(part / scale)).flatten()
}

/// A duration as [`parse_duration`] reads it back: `1h30m`, `500ms`, `0s`.
#[must_use]
pub fn duration_text(duration: Duration) -> String {
    let mut left = u64::try_from(millis(duration)).unwrap_or(0);
    if left == 0 {
        return "0s".to_owned();
    }
    let mut text = String::new();
    for (name, unit) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)] {
        if left >= unit {
            text.push_str(&format!("{}{name}", left / unit));
            left %= unit;
        }
    }
    text
}

/// A duration between two bounds, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Time<const MIN_MS: u64, const MAX_MS: u64>(pub Duration);

impl<'de, const MIN_MS: u64, const MAX_MS: u64> Deserialize<'de> for Time<MIN_MS, MAX_MS> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let duration = parse_duration(&text).map_err(Error::custom)?;
        let (min, max) = (Duration::from_millis(MIN_MS), Duration::from_millis(MAX_MS));
        match (min..=max).contains(&duration) {
            true => Ok(Time(duration)),
            false => {
                Err(Error::custom(format!("`{text}` is not between {} and {}", duration_text(min), duration_text(max))))
            }
        }
    }
}

impl<const MIN_MS: u64, const MAX_MS: u64> JsonSchema for Time<MIN_MS, MAX_MS> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let units = "(ms|s|m|h|d|w|y)";
        json_schema!({
            "type": "string",
            "pattern": format!(r"^([0-9]+(\.[0-9]+)?{units})+$|{VARIABLE}"),
            "examples": ["30s", "1.5s", "5m", "1h30m", "7d"],
        })
    }
}

const SIZES: [(&str, u64); 9] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("B", 1),
];

/// Parses a size: a number with `B`, `KiB`, `MiB`, `GiB`, `TiB`, or the decimal `kB`, `MB`, `GB`, `TB`.
///
/// # Errors
/// Says what is wrong and how to write it.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let trimmed = text.trim();
    if !trimmed.is_empty() && trimmed.bytes().all(|b| b.is_ascii_digit()) {
        return Err(format!("`{trimmed}` has no unit; write `{trimmed}B` for bytes"));
    }
    let split = trimmed.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(trimmed.len());
    let (number, unit) = trimmed.split_at(split);
    let unit = SIZES.into_iter().find(|(name, _)| *name == unit).map(|(_, bytes)| bytes);
    unit.and_then(|bytes| scaled(number.trim_end_matches(' '), bytes))
        .ok_or_else(|| format!("`{trimmed}` is not a size; write for example 512KiB, 1MiB or 2GiB"))
}

/// A size as [`parse_size`] reads it back: `1MiB`, `1500B`.
#[must_use]
pub fn size_text(bytes: u64) -> String {
    let binary = SIZES.into_iter().take(4).rev().find(|(_, unit)| bytes >= *unit && bytes.is_multiple_of(*unit));
    match binary {
        Some((name, unit)) => format!("{}{name}", bytes / unit),
        None => format!("{bytes}B"),
    }
}

/// A size in bytes between two bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size<const MIN: u64, const MAX: u64>(pub u64);

impl<'de, const MIN: u64, const MAX: u64> Deserialize<'de> for Size<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = parse_size(&text).map_err(Error::custom)?;
        match (MIN..=MAX).contains(&bytes) {
            true => Ok(Size(bytes)),
            false => Err(Error::custom(format!("`{text}` is not between {} and {}", size_text(MIN), size_text(MAX)))),
        }
    }
}

impl<const MIN: u64, const MAX: u64> JsonSchema for Size<MIN, MAX> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Size".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": format!(r"^[0-9]+(\.[0-9]+)? *([KMGT]iB|[kMGT]B|B)$|{VARIABLE}"),
            "examples": ["512KiB", "1MiB", "2GiB"],
        })
    }
}

/// A whole number between two bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count<const MIN: u32, const MAX: u32>(pub u32);

impl<'de, const MIN: u32, const MAX: u32> Deserialize<'de> for Count<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = i64::deserialize(deserializer)?;
        match u32::try_from(number) {
            Ok(number) if (MIN..=MAX).contains(&number) => Ok(Count(number)),
            Ok(_) | Err(_) => {
                Err(Error::custom(format!("expected a whole number from {MIN} to {MAX}, got `{number}`")))
            }
        }
    }
}

impl<const MIN: u32, const MAX: u32> JsonSchema for Count<MIN, MAX> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Count".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let number = r"^[0-9][0-9_]*$";
        json_schema!({
            "type": ["integer", "string"],
            "minimum": MIN,
            "maximum": MAX,
            "pattern": format!("{number}|{VARIABLE}"),
        })
    }
}

/// A share in percent, 1 to 100, written `20` or `20%`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Percent(pub u8);

impl<'de> Deserialize<'de> for Percent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match text.trim_end_matches('%').trim_end().parse::<u8>() {
            Ok(share @ 1..=100) => Ok(Percent(share)),
            Ok(_) | Err(_) => Err(Error::custom(format!("`{text}` is not a share from 1% to 100%"))),
        }
    }
}

impl JsonSchema for Percent {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Percent".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["integer", "string"],
            "minimum": 1,
            "maximum": 100,
            "pattern": format!("^[0-9]+ *%?$|{VARIABLE}"),
        })
    }
}

/// `true` or `false`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flag(pub bool);

impl<'de> Deserialize<'de> for Flag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        bool::deserialize(deserializer).map(Flag)
    }
}

impl JsonSchema for Flag {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Flag".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["boolean", "string"], "pattern": format!("^(true|false)$|{VARIABLE}") })
    }
}

/// A text that must not be shown: its `Debug` prints `***`.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Hidden(pub String);

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl<'de> Deserialize<'de> for Hidden {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Hidden)
    }
}

impl JsonSchema for Hidden {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Secret".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        text(generator)
    }
}

/// Any JSON value, with `null` told apart from an absent key.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Given(pub Option<serde_json::Value>);

impl<'de> Deserialize<'de> for Given {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        serde_json::Value::deserialize(deserializer).map(|value| Given(Some(value)))
    }
}

impl JsonSchema for Given {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Any".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({})
    }
}

/// A map that keeps the order it is written in.
#[derive(Clone, Debug, PartialEq)]
pub struct Ordered<T>(pub Vec<(String, T)>);

impl<T> Default for Ordered<T> {
    fn default() -> Ordered<T> {
        Ordered(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Ordered<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs<T>(std::marker::PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Pairs<T> {
            type Value = Ordered<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Ordered<T>, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Ordered(pairs))
            }
        }
        deserializer.deserialize_map(Pairs(std::marker::PhantomData))
    }
}

impl<T: JsonSchema> JsonSchema for Ordered<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        format!("Map_of_{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let values = generator.subschema_for::<T>();
        json_schema!({ "type": "object", "additionalProperties": values })
    }
}

/// Schema of a text: bare numbers and truth values are texts too.
pub(super) fn text(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": ["string", "number", "boolean"] })
}

/// Schema of an optional text.
pub(super) fn optional_text(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": ["string", "number", "boolean", "null"] })
}

/// Schema of a list of texts, of which a single one may stand alone.
pub(super) fn texts(_: &mut SchemaGenerator) -> Schema {
    let text = json_schema!({ "type": ["string", "number", "boolean"] });
    json_schema!({ "type": ["array", "string", "number", "boolean", "null"], "items": text })
}

/// Lets a bare text stand for the whole map, as [`crate::tree::Shapes::short_forms`] says.
pub(super) fn or_text(schema: &mut Schema) {
    let map = std::mem::take(schema);
    *schema = json_schema!({ "anyOf": [map, { "type": ["string", "number", "boolean"] }] });
}
