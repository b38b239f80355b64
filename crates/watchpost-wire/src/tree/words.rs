//! What is said about words that were not expected.

use super::shorten;

/// The word nearest to a misspelt one, if any is near enough to have been meant.
#[must_use]
pub fn nearest<'w>(wrong: &str, words: impl IntoIterator<Item = &'w str>) -> Option<&'w str> {
    const SIMILAR: f64 = 0.65;
    let lower = wrong.to_lowercase().replace('-', "_");
    let rate = |word: &str| strsim::normalized_damerau_levenshtein(&lower, &word.to_lowercase());
    let rated = words.into_iter().map(|word| (rate(word), word));
    rated.filter(|(rate, _)| *rate >= SIMILAR).max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, word)| word)
}

pub(super) fn unknown(what: &str, wrong: &str, words: &[&str]) -> String {
    let wrong = shorten(wrong);
    match nearest(&wrong, words.iter().copied()) {
        Some(word) => format!("unknown {what} `{wrong}`; did you mean `{word}`?"),
        None => format!("unknown {what} `{wrong}`; expected {}", one_of(words)),
    }
}

pub(super) fn one_of(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    match quoted.as_slice() {
        [] => "none".to_owned(),
        [only] => only.clone(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}
