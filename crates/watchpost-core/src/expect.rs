//! What is expected of a target. Parsed once at the edge: patterns are compiled, paths are valid.

use std::fmt;
use std::time::Duration;

/// All expectations of a monitor. Those that do not fit its kind are refused when the document is read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Expect {
    /// Accepted HTTP status codes.
    pub status: StatusSet,
    /// On the body of an HTTP answer.
    pub body: TextExpect,
    /// On the body read as JSON; all must hold.
    pub json: Vec<JsonExpect>,
    /// On response headers; all must hold.
    pub headers: Vec<HeaderExpect>,
    /// On the total time, or the mean round trip of an ICMP burst.
    pub latency: LatencyExpect,
    /// Below so much remaining validity of the certificate the result is degraded.
    pub certificate_warn: Option<Duration>,
    /// On the lost share of an ICMP burst.
    pub loss: LossExpect,
    /// On the answer of a DNS check.
    pub dns: DnsExpect,
}

impl Expect {
    /// Judging needs the body's bytes, so the check must keep them.
    #[must_use]
    pub fn needs_body(&self) -> bool {
        !self.body.is_empty() || !self.json.is_empty()
    }
}

/// Accepted status codes: inclusive ranges, written `200-399` or `200, 204, 301-308`.
#[derive(Clone, PartialEq, Eq)]
pub struct StatusSet(Vec<(u16, u16)>);

/// A text that is not a set of status codes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a status code or range between 100 and 599; write for example 200-399 or 200,204")]
pub struct NotAStatusSet(String);

impl StatusSet {
    /// Parses `200`, `200-299`, `2xx`, and lists of them with commas.
    ///
    /// # Errors
    /// Names the part that is no code or range within 100..=599, or runs backwards.
    pub fn parse(text: &str) -> Result<StatusSet, NotAStatusSet> {
        text.split(',').map(|part| parse_range(part.trim())).collect::<Result<Vec<_>, _>>().map(StatusSet)
    }

    /// Whether a code is in it.
    #[must_use]
    pub fn contains(&self, code: u16) -> bool {
        self.0.iter().any(|(from, to)| (*from..=*to).contains(&code))
    }
}

fn parse_range(part: &str) -> Result<(u16, u16), NotAStatusSet> {
    let bad = || NotAStatusSet(part.to_owned());
    let code = |text: &str| match text.trim().parse::<u16>() {
        Ok(code @ 100..=599) if !text.contains('+') => Ok(code),
        Ok(_) | Err(_) => Err(bad()),
    };
    if let Some(hundred) = part.strip_suffix("xx").or_else(|| part.strip_suffix("XX")) {
        let first = code(&format!("{hundred}00"))?;
        return Ok((first, first + 99));
    }
    let (from, to) = match part.split_once('-') {
        Some((from, to)) => (code(from)?, code(to)?),
        None => (code(part)?, code(part)?),
    };
    if from <= to { Ok((from, to)) } else { Err(bad()) }
}

impl Default for StatusSet {
    fn default() -> StatusSet {
        StatusSet(vec![(200, 399)])
    }
}

impl fmt::Display for StatusSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (from, to)) in self.0.iter().enumerate() {
            let comma = if i == 0 { "" } else { "," };
            match from == to {
                true => write!(f, "{comma}{from}")?,
                false => write!(f, "{comma}{from}-{to}")?,
            }
        }
        Ok(())
    }
}

impl fmt::Debug for StatusSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A regular expression; two are equal when they are written alike.
#[derive(Clone)]
pub struct Pattern(regex::Regex);

/// Compiled size of a pattern, bytes: bounds memory for hostile patterns; matching is linear in any case.
const PATTERN_SIZE_MAX: usize = 1 << 20;

/// A text that is not a regular expression.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a regular expression: {0}")]
pub struct NotAPattern(String);

impl Pattern {
    /// Compiles a regular expression (syntax of the `regex` crate: no look-around, linear time).
    ///
    /// # Errors
    /// When it does not parse or compiles to more than 1 MiB.
    pub fn parse(text: &str) -> Result<Pattern, NotAPattern> {
        let built = regex::RegexBuilder::new(text).size_limit(PATTERN_SIZE_MAX).build();
        built.map(Pattern).map_err(|e| NotAPattern(e.to_string()))
    }

    /// Whether it matches anywhere in the text.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        self.0.is_match(text)
    }

    /// As written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Pattern) -> bool {
        self.as_str() == other.as_str()
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}/", self.as_str())
    }
}

/// On a text; all parts must hold.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TextExpect {
    /// It contains each of these.
    pub contains: Vec<String>,
    /// It matches each of these.
    pub matches: Vec<Pattern>,
    /// It contains none of these.
    pub lacks: Vec<String>,
}

impl TextExpect {
    /// Nothing is expected.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.contains.is_empty() && self.matches.is_empty() && self.lacks.is_empty()
    }
}

/// A JSONPath (RFC 9535); two are equal when they are written alike.
#[derive(Clone)]
pub struct JsonPath {
    written: String,
    path: serde_json_path::JsonPath,
}

/// Characters of a JSONPath: none that a person wrote comes near it, and the parser descends with each parenthesis.
const PATH_CHARS_MAX: usize = 500;
/// Filters in a JSONPath: the time to parse one doubles and more with each filter inside another.
const PATH_FILTERS_MAX: usize = 6;

/// A text that is not a JSONPath.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a JSONPath (RFC 9535, such as $.db.state): {0}")]
pub struct NotAJsonPath(String);

impl JsonPath {
    /// Parses a JSONPath.
    ///
    /// # Errors
    /// When it does not follow RFC 9535, has more than 500 characters or more than 6 filters.
    pub fn parse(text: &str) -> Result<JsonPath, NotAJsonPath> {
        if text.chars().count() > PATH_CHARS_MAX {
            return Err(NotAJsonPath(format!("it has more than {PATH_CHARS_MAX} characters")));
        }
        if text.matches('?').count() > PATH_FILTERS_MAX {
            return Err(NotAJsonPath(format!("it has more than {PATH_FILTERS_MAX} filters (`?`)")));
        }
        match serde_json_path::JsonPath::parse(text) {
            Ok(path) => Ok(JsonPath { written: text.to_owned(), path }),
            Err(e) => Err(NotAJsonPath(e.to_string())),
        }
    }

    /// The first value it selects.
    #[must_use]
    pub fn first<'a>(&self, json: &'a serde_json::Value) -> Option<&'a serde_json::Value> {
        self.path.query(json).first()
    }

    /// As written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.written
    }
}

impl PartialEq for JsonPath {
    fn eq(&self, other: &JsonPath) -> bool {
        self.written == other.written
    }
}

impl fmt::Debug for JsonPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

/// On one value of a JSON body.
#[derive(Clone, Debug, PartialEq)]
pub struct JsonExpect {
    /// Where it is.
    pub path: JsonPath,
    /// What must hold for the first value found there.
    pub op: JsonOp,
}

/// What must hold for a JSON value.
#[derive(Clone, Debug, PartialEq)]
pub enum JsonOp {
    /// It is there (or, when false, is not).
    Exists(bool),
    /// It equals this value. A text also equals the number or boolean that is written like it.
    Equals(serde_json::Value),
    /// Its text matches.
    Matches(Pattern),
    /// Its text or array contains this.
    Contains(String),
    /// It is a number in this inclusive range.
    Between {
        /// Lower bound.
        min: Option<f64>,
        /// Upper bound.
        max: Option<f64>,
    },
}

/// On one response header; several of the same name are joined by `, `.
#[derive(Clone, Debug, PartialEq)]
pub struct HeaderExpect {
    /// Name in lower case.
    pub name: String,
    /// What must hold.
    pub op: HeaderOp,
}

/// What must hold for a header.
#[derive(Clone, Debug, PartialEq)]
pub enum HeaderOp {
    /// It is there (or, when false, is not).
    Exists(bool),
    /// It equals this, case included.
    Equals(String),
    /// It matches.
    Matches(Pattern),
    /// It contains this, case included.
    Contains(String),
}

/// On the total time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LatencyExpect {
    /// Longer than this is degraded.
    pub degraded: Option<Duration>,
    /// Longer than this is a failure.
    pub down: Option<Duration>,
}

/// On the lost share of an ICMP burst, percent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LossExpect {
    /// From this share on it is degraded; 1..=100.
    pub degraded: u8,
    /// From this share on it is a failure; 1..=100.
    pub down: u8,
}

impl Default for LossExpect {
    fn default() -> LossExpect {
        LossExpect { degraded: 100, down: 100 }
    }
}

/// On a DNS answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DnsExpect {
    /// Expected response code, upper case; `None`: NOERROR with at least one record.
    pub rcode: Option<String>,
    /// Each of these is among the answers, compared without case and final dots.
    pub answers: Vec<String>,
    /// Nothing but [`DnsExpect::answers`] is answered.
    pub exact: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_sets_are_codes_ranges_and_hundreds() {
        let set = StatusSet::parse("200, 301-308 ,4xx,5XX").unwrap();
        let codes = [200, 201, 300, 301, 308, 309, 400, 499, 500, 599];
        let inside: Vec<u16> = codes.into_iter().filter(|code| set.contains(*code)).collect();
        assert_eq!(inside, [200, 301, 308, 400, 499, 500, 599]);
        assert_eq!(set.to_string(), "200,301-308,400-499,500-599");
        assert_eq!(StatusSet::parse(&set.to_string()), Ok(set), "what is printed can be read");
        assert_eq!(StatusSet::default().to_string(), "200-399");
    }

    #[test]
    fn what_is_no_status_set_is_named() {
        for bad in
            ["", "200,", "99", "600", "6xx", "xx", "300-200", "2x", "ok", "200-", "-200", "2xx-3xx", "200 300", "+200"]
        {
            let error = StatusSet::parse(bad).unwrap_err();
            assert!(bad.split(',').any(|part| error == NotAStatusSet(part.trim().to_owned())), "{bad}: {error}");
        }
    }

    #[test]
    fn a_hostile_pattern_is_refused_or_takes_linear_time() {
        assert!(Pattern::parse("(a").is_err());
        assert!(Pattern::parse(r"\w{1000}{1000}").is_err(), "too large when compiled");
        assert!(!Pattern::parse("(a+)+$").unwrap().matches(&("a".repeat(50_000) + "b")));
    }

    #[test]
    fn a_json_path_gives_the_first_value() {
        let json = serde_json::json!({ "a": [ { "n": 1 }, { "n": 2 } ] });
        assert_eq!(JsonPath::parse("$.a[*].n").unwrap().first(&json), Some(&serde_json::json!(1)));
        assert_eq!(JsonPath::parse("$.b").unwrap().first(&json), None);
        assert!(JsonPath::parse("a.b").is_err());
    }

    #[test]
    fn a_configuration_with_a_hostile_json_path_is_refused_at_once() {
        let nested = format!("$[?{}@.a{}]", "@[?".repeat(40), "]".repeat(40));
        assert!(JsonPath::parse(&nested).unwrap_err().to_string().ends_with("more than 6 filters (`?`)"));
        let deep = format!("$[?{}@.a{}]", "(".repeat(100_000), ")".repeat(100_000));
        assert!(JsonPath::parse(&deep).unwrap_err().to_string().ends_with("more than 500 characters"));
        assert!(JsonPath::parse("$.a[?@.b[?@.c == 1]].d[?@.e]").is_ok());
    }

    #[test]
    fn the_body_is_kept_only_when_something_is_expected_of_it() {
        assert!(!Expect::default().needs_body());
        let body = TextExpect { lacks: vec!["error".to_owned()], ..TextExpect::default() };
        assert!(Expect { body, ..Expect::default() }.needs_body());
    }
}
