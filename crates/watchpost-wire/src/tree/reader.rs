//! Typed documents from a tree: a serde deserializer that knows where it is, and goes on after a problem.
//!
//! A derived `Deserialize` stops at its first error. So that a person sees all of them at once, unknown keys are only
//! noted, items of lists fail one by one, and a struct whose field cannot be read is read again without that field.

use std::cell::RefCell;
use std::collections::HashSet;
use std::fmt;

use serde::de::{self, DeserializeSeed, IntoDeserializer, Visitor};

use super::words::{one_of, unknown};
use super::{Entry, Node, Place, Problem, Scalar, Style, Value, describe};

/// Retries after a problem in one document; beyond it the rest goes unreported.
const RETRIES_MAX: usize = 50;

/// Problems that are kept; of so many most are the same slip, and each new one is compared with all of them.
const REPORTED_MAX: usize = 1_000;

/// What may be written shorter than it is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Shapes {
    /// A struct's name and the key that a bare text in its place means: `("Http", "url")`.
    pub short_forms: &'static [(&'static str, &'static str)],
    /// Keys of the contract that this version does not honour yet, by struct name.
    pub not_yet: &'static [(&'static str, &'static [&'static str])],
}

/// Reads typed documents and collects what is wrong with them.
#[derive(Debug)]
pub struct Reader {
    shapes: Shapes,
    problems: RefCell<Vec<Problem>>,
    /// Nodes to read over, by address: the tree is borrowed and stays where it is.
    skipped: RefCell<HashSet<usize>>,
}

impl Reader {
    /// A reader without problems yet.
    #[must_use]
    pub fn new(shapes: Shapes) -> Reader {
        Reader { shapes, problems: RefCell::default(), skipped: RefCell::default() }
    }

    /// Notes a problem, up to a number that nobody reads.
    pub fn report(&self, problem: Problem) {
        let mut problems = self.problems.borrow_mut();
        if problems.len() < REPORTED_MAX && !problems.contains(&problem) {
            problems.push(problem);
        }
    }

    /// All problems noted.
    #[must_use]
    pub fn into_problems(self) -> Vec<Problem> {
        self.problems.into_inner()
    }

    /// Whether so many problems are known that looking for more is of no use.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.problems.borrow().len() > super::PROBLEMS_MAX
    }

    /// Reads over a node as if it were not there.
    pub fn skip(&self, node: &Node) {
        self.skipped.borrow_mut().insert(address(node));
    }

    /// Reads a node. `None` when anything in it is wrong, which is then noted.
    #[must_use]
    pub fn read<'a, T: de::Deserialize<'a>>(&'a self, node: &'a Node) -> Option<T> {
        let before = self.problems.borrow().len();
        self.read_rest(node).filter(|_| self.problems.borrow().len() == before)
    }

    /// Reads what can be read of a node, as if what is wrong were not there, and notes that.
    #[must_use]
    pub fn read_rest<'a, T: de::Deserialize<'a>>(&'a self, node: &'a Node) -> Option<T> {
        for _ in 0..RETRIES_MAX {
            let error = match T::deserialize(At { node, reader: self }) {
                Ok(value) => return Some(value),
                Err(error) => error,
            };
            if !error.follows {
                self.report(Problem::at(error.place.unwrap_or(node.place), error.message));
            }
            match error.skip {
                Some(address) => self.skipped.borrow_mut().insert(address),
                None => return None,
            };
        }
        None
    }

    fn skips(&self, node: &Node) -> bool {
        let skipped = self.skipped.borrow();
        !skipped.is_empty() && skipped.contains(&address(node))
    }

    fn not_yet(&self, name: &str, key: &str) -> bool {
        self.shapes.not_yet.iter().any(|(of, keys)| *of == name && keys.contains(&key))
    }
}

fn address(node: &Node) -> usize {
    std::ptr::from_ref(node) as usize
}

/// A problem on its way out of the deserializer.
#[derive(Debug)]
struct ReadError {
    place: Option<Place>,
    message: String,
    /// The innermost field or item that failed.
    skip: Option<usize>,
    /// Only follows from a problem that is already noted.
    follows: bool,
    missing: bool,
}

impl ReadError {
    fn new(message: String) -> ReadError {
        ReadError { place: None, message, skip: None, follows: false, missing: false }
    }

    /// Fills in where it was, unless something further inside has done so.
    fn inside(mut self, node: &Node) -> ReadError {
        self.place.get_or_insert(node.place);
        self.skip.get_or_insert(address(node));
        self
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ReadError {}

impl de::Error for ReadError {
    fn custom<T: fmt::Display>(message: T) -> ReadError {
        ReadError::new(message.to_string())
    }

    fn missing_field(field: &'static str) -> ReadError {
        ReadError { missing: true, ..ReadError::new(format!("the key `{field}` is missing here")) }
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> ReadError {
        ReadError::new(unknown("value", variant, expected))
    }
}

/// The deserializer: a node with its reader.
#[derive(Clone, Copy)]
struct At<'a> {
    node: &'a Node,
    reader: &'a Reader,
}

type Outcome<T> = Result<T, ReadError>;

impl<'a> At<'a> {
    fn expected(self, what: &str) -> ReadError {
        ReadError {
            place: Some(self.node.place),
            ..ReadError::new(format!("expected {what}, got {}", describe(self.node)))
        }
    }

    fn scalar(self, what: &str) -> Outcome<&'a Scalar> {
        match &self.node.value {
            Value::Scalar(scalar) if !scalar.is_null() => Ok(scalar),
            Value::Scalar(scalar) if !scalar.text.is_empty() => Err(ReadError {
                place: Some(self.node.place),
                ..ReadError::new(format!(
                    "expected {what}, got nothing; quote `{}` if it is meant as text",
                    scalar.text
                ))
            }),
            Value::Scalar(_) | Value::List(_) | Value::Map(_) => Err(self.expected(what)),
        }
    }

    /// A whole number between two bounds, `1_000` allowed.
    fn integer(self, min: i128, max: i128) -> Outcome<i128> {
        let what = match (min, max) {
            (0, max) if max <= i128::from(u32::MAX) => format!("a whole number up to {max}"),
            (_, _) => "a whole number".to_owned(),
        };
        let scalar = self.scalar(&what)?;
        match parse_integer(&scalar.text) {
            Some(number) if (min..=max).contains(&number) => Ok(number),
            Some(_) | None => Err(self.expected(&what)),
        }
    }

    fn entries(self) -> Outcome<&'a [Entry]> {
        match &self.node.value {
            Value::Map(entries) => Ok(entries),
            Value::Scalar(scalar) if scalar.is_null() => Ok(&[]),
            // Not what it says: it may be a secret that stands where its map should.
            Value::Scalar(_) => Err(ReadError {
                place: Some(self.node.place),
                ..ReadError::new("expected a map, got a text".to_owned())
            }),
            Value::List(_) => Err(self.expected("a map")),
        }
    }

    /// The entries that a struct knows; the others are noted as problems.
    fn known(self, name: &str, fields: &'static [&'static str]) -> Outcome<(Vec<&'a Entry>, bool)> {
        let mut incomplete = false;
        let mut known = Vec::new();
        for entry in self.entries()? {
            if self.reader.skips(&entry.value) {
                incomplete = true;
            } else if fields.contains(&&*entry.key) {
                known.push(entry);
            } else {
                incomplete = true;
                let message = match self.reader.not_yet(name, &entry.key) {
                    true => format!("`{}` is not supported yet in this version", entry.key),
                    false => unknown("key", &entry.key, fields),
                };
                self.reader.report(Problem::at(entry.place, message));
            }
        }
        Ok((known, incomplete))
    }
}

fn parse_integer(text: &str) -> Option<i128> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let plain = digits.replace('_', "");
    let plausible = digits.starts_with(|c: char| c.is_ascii_digit()) && digits.ends_with(|c: char| c.is_ascii_digit());
    let number = plain.parse::<i128>().ok().filter(|_| plausible && plain.bytes().all(|b| b.is_ascii_digit()))?;
    Some(sign * number)
}

macro_rules! integers {
    ($($method:ident $visit:ident $type:ty),*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Outcome<V::Value> {
            let number = self.integer(i128::from(<$type>::MIN), i128::from(<$type>::MAX))?;
            match <$type>::try_from(number) {
                Ok(number) => visitor.$visit(number),
                Err(_) => Err(self.expected("a whole number")),
            }
        }
    )*};
}

impl<'de> de::Deserializer<'de> for At<'de> {
    type Error = ReadError;

    integers!(
        deserialize_i8 visit_i8 i8, deserialize_i16 visit_i16 i16, deserialize_i32 visit_i32 i32,
        deserialize_i64 visit_i64 i64, deserialize_u8 visit_u8 u8, deserialize_u16 visit_u16 u16,
        deserialize_u32 visit_u32 u32, deserialize_u64 visit_u64 u64
    );

    /// Values whose type is left to the document: the core schema of YAML 1.2, except that a number that is not
    /// written in the shortest way (`1.10`, `010`) stays a text.
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Outcome<V::Value> {
        match &self.node.value {
            Value::Scalar(scalar) if scalar.is_null() => visitor.visit_unit(),
            Value::Scalar(Scalar { text, style: Style::Plain }) => match &**text {
                "true" => visitor.visit_bool(true),
                "false" => visitor.visit_bool(false),
                text => match serde_json::from_str::<serde_json::Number>(text) {
                    Ok(number) if number.to_string() == text => {
                        match (number.as_i64(), number.as_u64(), number.as_f64()) {
                            (Some(whole), _, _) => visitor.visit_i64(whole),
                            (None, Some(whole), _) => visitor.visit_u64(whole),
                            (None, None, Some(float)) => visitor.visit_f64(float),
                            (None, None, None) => visitor.visit_borrowed_str(text),
                        }
                    }
                    Ok(_) | Err(_) => visitor.visit_borrowed_str(text),
                },
            },
            Value::Scalar(scalar) => visitor.visit_borrowed_str(&scalar.text),
            Value::List(_) => self.deserialize_seq(visitor),
            Value::Map(_) => self.deserialize_map(visitor),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Outcome<V::Value> {
        match &*self.scalar("`true` or `false`")?.text {
            "true" | "True" | "TRUE" => visitor.visit_bool(true),
            "false" | "False" | "FALSE" => visitor.visit_bool(false),
            _ => Err(self.expected("`true` or `false`")),
        }
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Outcome<V::Value> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Outcome<V::Value> {
        match self.scalar("a number")?.text.replace('_', "").parse::<f64>() {
            Ok(number) if number.is_finite() => visitor.visit_f64(number),
            Ok(_) | Err(_) => Err(self.expected("a number")),
        }
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Outcome<V::Value> {
        self.deserialize_str(visitor)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Outcome<V::Value> {
        visitor.visit_borrowed_str(&self.scalar("text")?.text)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Outcome<V::Value> {
        self.deserialize_str(visitor)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Outcome<V::Value> {
        visitor.visit_borrowed_bytes(self.scalar("text")?.text.as_bytes())
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Outcome<V::Value> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Outcome<V::Value> {
        match self.node.is_null() {
            true => visitor.visit_none(),
            false => visitor.visit_some(self),
        }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Outcome<V::Value> {
        match self.node.is_null() {
            true => visitor.visit_unit(),
            false => Err(self.expected("nothing")),
        }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Outcome<V::Value> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Outcome<V::Value> {
        visitor.visit_newtype_struct(self)
    }

    /// A single value is a list of one; nothing is an empty list.
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Outcome<V::Value> {
        let items = match &self.node.value {
            Value::List(items) => items.as_slice(),
            Value::Scalar(scalar) if scalar.is_null() => &[],
            Value::Scalar(_) | Value::Map(_) => std::slice::from_ref(self.node),
        };
        visitor.visit_seq(Items { items: items.iter(), of: self })
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Outcome<V::Value> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(self, _: &'static str, _: usize, visitor: V) -> Outcome<V::Value> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Outcome<V::Value> {
        let entries = self.entries()?.iter().filter(|entry| !self.reader.skips(&entry.value)).collect();
        visitor.visit_map(Fields { entries, next: 0, of: self })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Outcome<V::Value> {
        let short = self.reader.shapes.short_forms.iter().find(|(of, _)| *of == name);
        if let (Value::Scalar(scalar), Some((_, key))) = (&self.node.value, short)
            && !scalar.is_null()
        {
            return visitor.visit_map(Short { key, value: Some(self) });
        }
        let (entries, incomplete) = self.known(name, fields)?;
        let read = visitor.visit_map(Fields { entries, next: 0, of: self });
        read.map_err(|mut error| {
            error.follows |= error.missing && incomplete && error.place.is_none();
            error.place.get_or_insert(self.node.place);
            error
        })
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Outcome<V::Value> {
        let text: &str = &self.scalar(&one_of(variants))?.text;
        visitor.visit_enum(text.into_deserializer())
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Outcome<V::Value> {
        self.deserialize_str(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Outcome<V::Value> {
        visitor.visit_unit()
    }
}

struct Items<'a> {
    items: std::slice::Iter<'a, Node>,
    of: At<'a>,
}

impl<'de> de::SeqAccess<'de> for Items<'de> {
    type Error = ReadError;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Outcome<Option<T::Value>> {
        let reader = self.of.reader;
        let Some(node) = self.items.by_ref().find(|node| !reader.skips(node)) else { return Ok(None) };
        // A single value in place of a list is this very node: it cannot be read over item by item.
        let read = seed.deserialize(At { node, reader });
        match std::ptr::eq(node, self.of.node) {
            true => read.map(Some),
            false => read.map(Some).map_err(|e| e.inside(node)),
        }
    }
}

struct Fields<'a> {
    entries: Vec<&'a Entry>,
    next: usize,
    of: At<'a>,
}

impl<'de> de::MapAccess<'de> for Fields<'de> {
    type Error = ReadError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Outcome<Option<K::Value>> {
        let Some(entry) = self.entries.get(self.next) else { return Ok(None) };
        let key: de::value::BorrowedStrDeserializer<'de, ReadError> =
            de::value::BorrowedStrDeserializer::new(&entry.key);
        seed.deserialize(key).map(Some).map_err(|mut e| {
            e.place.get_or_insert(entry.place);
            e.skip.get_or_insert(address(&entry.value));
            e
        })
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Outcome<V::Value> {
        let Some(entry) = self.entries.get(self.next) else {
            return Err(ReadError::new("a value is missing here".to_owned()));
        };
        self.next += 1;
        let read = seed.deserialize(At { node: &entry.value, reader: self.of.reader });
        read.map_err(|e| e.inside(&entry.value))
    }
}

/// A bare value in place of a struct: the struct with this one key.
struct Short<'a> {
    key: &'static str,
    value: Option<At<'a>>,
}

impl<'de> de::MapAccess<'de> for Short<'de> {
    type Error = ReadError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Outcome<Option<K::Value>> {
        match self.value {
            Some(_) => seed.deserialize(de::value::BorrowedStrDeserializer::new(self.key)).map(Some),
            None => Ok(None),
        }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Outcome<V::Value> {
        match self.value.take() {
            Some(at) => seed.deserialize(at),
            None => Err(ReadError::new("a value is missing here".to_owned())),
        }
    }
}
