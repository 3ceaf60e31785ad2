//! How messages quote what the user wrote.

const LONGEST: usize = 80;

/// The text in quotes, with control characters escaped, cut after 80 characters.
pub(super) fn quoted(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{:?}…", &text[..end]),
        None => format!("{text:?}"),
    }
}

/// `a, b, c`, for lists of what would be allowed.
pub(super) fn listed<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    words.into_iter().collect::<Vec<_>>().join(", ")
}

/// The candidate that was probably meant, if one is close enough to be worth saying.
pub(super) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if word.len() > LONGEST {
        return None;
    }
    let word = word.to_lowercase();
    let close = candidates.into_iter().map(|candidate| (distance(&word, &candidate.to_lowercase()), candidate));
    let (distance, candidate) = close.min_by_key(|(distance, _)| *distance)?;
    let length = candidate.chars().count();
    // Half of a short word is no slip of the finger: `no` does not mean `on`.
    (distance <= (length / 3).clamp(1, 3) && distance * 2 < length).then_some(candidate)
}

/// `; did you mean "…"?`, or nothing.
pub(super) fn did_you_mean<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    nearest(word, candidates).map(|meant| format!("; did you mean {meant:?}?")).unwrap_or_default()
}

/// Edits (insert, remove, replace, swap neighbours) from one word to the other.
fn distance(from: &str, to: &str) -> usize {
    let (from, to): (Vec<char>, Vec<char>) = (from.chars().collect(), to.chars().collect());
    let mut before = vec![0; to.len() + 1];
    let mut last: Vec<usize> = (0..=to.len()).collect();
    for i in 1..=from.len() {
        let mut row = vec![i];
        for j in 1..=to.len() {
            let replaced = last[j - 1] + usize::from(from[i - 1] != to[j - 1]);
            let mut least = replaced.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && from[i - 1] == to[j - 2] && from[i - 2] == to[j - 1] {
                least = least.min(before[j - 2] + 1);
            }
            row.push(least);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_finds_the_word_that_was_meant() {
        let keys = ["endpoints", "timeouts", "protocol", "tls"];
        assert_eq!(nearest("endpoint", keys), Some("endpoints"));
        assert_eq!(nearest("timeuots", keys), Some("timeouts"));
        assert_eq!(nearest("TLS", keys), Some("tls"));
        assert_eq!(nearest("weight", keys), None);
        assert_eq!(nearest("of", ["off", "on"]), Some("off"));
        assert_eq!(nearest("no", ["off", "on"]), None, "it would say the contrary");
        assert_eq!(nearest("c", ["a", "b"]), None);
        assert_eq!(nearest(&"x".repeat(100_000), keys), None);
    }

    #[test]
    fn long_and_strange_values_are_quoted_safely() {
        assert_eq!(quoted("a\tb"), r#""a\tb""#);
        assert_eq!(quoted(&"é".repeat(100)).chars().count(), 83);
    }
}
