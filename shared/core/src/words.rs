//! Owns quantities and lists in words: rounded, and no longer than needed.

use jiff::SignedDuration;

/// The most characters that a finding shows of what it saw.
const MOST_OBSERVED: usize = 600;

/// A duration as people say it: `40 s`, `5 min`, `3 h 20 min`, `30 h`, `2 days`. A negative one is `0 s`.
pub fn in_words(duration: SignedDuration) -> String {
    let seconds = duration.as_secs().max(0);
    let minutes = rounded(seconds, 60);
    let tens = rounded(seconds, 600);
    match (seconds, minutes) {
        (0..60, _) => format!("{seconds} s"),
        (_, ..60) => format!("{minutes} min"),
        _ if tens < 24 * 6 && tens % 6 != 0 => format!("{} h {} min", tens / 6, tens % 6 * 10),
        _ if tens < 48 * 6 => format!("{} h", rounded(seconds, 3600)),
        _ => format!("{} days", rounded(seconds, 86_400)),
    }
}

/// How many `unit`s of seconds that is, to the nearest.
fn rounded(seconds: i64, unit: i64) -> i64 {
    seconds / unit + i64::from(seconds % unit * 2 >= unit)
}

/// What was seen, cut off where a finding would get too long.
pub fn bounded(text: String) -> String {
    match text.char_indices().nth(MOST_OBSERVED - 1) {
        Some((cut, last)) if cut + last.len_utf8() < text.len() => format!("{}…", &text[..cut]),
        _ => text,
    }
}

/// Several things as one enumeration: `a`, `a and b`, `a, b and c`.
pub fn listed(things: &[String]) -> String {
    match things {
        [] => String::new(),
        [one] => one.clone(),
        [most @ .., last] => format!("{} and {last}", most.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations_are_told_in_the_unit_that_people_would_choose() {
        for (seconds, words) in [
            (-5, "0 s"),
            (40, "40 s"),
            (59, "59 s"),
            (60, "1 min"),
            (5 * 60 + 10, "5 min"),
            (59 * 60 + 40, "1 h"),
            (65 * 60, "1 h 10 min"),
            (200 * 60, "3 h 20 min"),
            (2 * 3600 - 30, "2 h"),
            (24 * 3600, "24 h"),
            (30 * 3600 + 200, "30 h"),
            (48 * 3600 - 10, "2 days"),
            (3 * 86_400 + 4000, "3 days"),
        ] {
            assert_eq!(in_words(SignedDuration::from_secs(seconds)), words, "{seconds}");
        }
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        assert_eq!(bounded("ä".repeat(600)).chars().count(), 600);
        assert!(!bounded("ä".repeat(600)).ends_with('…'));
        assert_eq!(bounded("ä".repeat(601)).chars().count(), 600);
        assert!(bounded("ä".repeat(601)).ends_with('…'));
    }

    #[test]
    fn things_are_listed_as_in_a_sentence() {
        let listed = |things: &[&str]| listed(&things.iter().map(|thing| (*thing).to_owned()).collect::<Vec<_>>());
        assert_eq!(listed(&["a"]), "a");
        assert_eq!(listed(&["a", "b"]), "a and b");
        assert_eq!(listed(&["a", "b", "c"]), "a, b and c");
    }

    proptest! {
        #[test]
        fn any_duration_has_words(seconds: i64) {
            prop_assert!(!in_words(SignedDuration::from_secs(seconds)).is_empty());
        }
    }
}
