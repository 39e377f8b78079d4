//! Owns how foreign text is made fit for a message: bounded, printable, wrapped.

use textwrap::{Options, WordSeparator, WordSplitter, WrapAlgorithm};

/// Columns of a line in a message.
const WIDTH: usize = 100;
/// A word that is longer is broken; an ARN or a web address is not.
const LONGEST_WORD: usize = 240;

/// `text` on one line, without control characters and without those that turn or hide text, at most `most` characters.
pub(crate) fn clean(text: &str, most: usize) -> String {
    let printable: String = text.chars().map(|char| if is_plain(char) { char } else { ' ' }).collect();
    let line = printable.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= most {
        return line;
    }
    let kept: String = line.chars().take(most.saturating_sub(1)).collect();
    format!("{}…", kept.trim_end())
}

/// `text` as [`clean`] leaves it, at most `most` bytes: for what is stored.
pub(crate) fn stored(text: &str, most: usize) -> String {
    let mut kept = clean(text, most);
    if kept.len() > most {
        const ELLIPSIS: usize = '…'.len_utf8();
        let mut end = most.saturating_sub(ELLIPSIS);
        while !kept.is_char_boundary(end) {
            end -= 1;
        }
        kept.truncate(end);
        kept.push('…');
    }
    kept
}

/// `text` in printable ASCII, at most `most` characters; SNS takes nothing else as a subject
/// (<https://docs.aws.amazon.com/sns/latest/api/API_Publish.html>).
pub(crate) fn ascii(text: &str, most: usize) -> String {
    let mut line: String = clean(text, usize::MAX)
        .chars()
        .map(|char| if char.is_ascii_graphic() || char == ' ' { char } else { '?' })
        .collect();
    if line.len() > most {
        line.truncate(most.saturating_sub(3));
        line.truncate(line.trim_end().len());
        line.push_str("...");
    }
    line
}

/// Whether `text` is 1 to `most` characters, none of which breaks a line or hides.
pub(crate) fn is_printable(text: &str, most: usize) -> bool {
    !text.is_empty() && text.chars().count() <= most && clean(text, most) == text
}

/// `text` in lines of at most [`WIDTH`] columns, as long as its words are not longer.
pub(crate) fn wrapped(text: &str) -> String {
    let words: Vec<String> = text.split_whitespace().flat_map(broken).collect();
    // An ARN, a path or a web address is copied from a message, so nothing is split at a hyphen or within a word.
    let options = Options::new(WIDTH)
        .word_separator(WordSeparator::AsciiSpace)
        .word_splitter(WordSplitter::NoHyphenation)
        .wrap_algorithm(WrapAlgorithm::FirstFit)
        .break_words(false);
    textwrap::fill(&words.join(" "), options)
}

/// The parts of a word that no line could hold.
fn broken(word: &str) -> Vec<String> {
    let chars: Vec<char> = word.chars().collect();
    let longest = if chars.len() > LONGEST_WORD { WIDTH } else { LONGEST_WORD };
    chars.chunks(longest).map(|part| part.iter().collect()).collect()
}

fn is_plain(char: char) -> bool {
    let turns_or_hides = matches!(
        char,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}'
    );
    !char.is_control() && !turns_or_hides
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_breaks_a_line_or_turns_it_around_is_left_out() {
        assert_eq!(clean(" a\r\nb\t\u{202e}c\u{0} ", 99), "a b c");
        assert_eq!(clean("abcdef", 4), "abc…");
    }

    #[test]
    fn what_is_stored_is_bounded_in_bytes() {
        let kept = stored(&"é🙂".repeat(500), 100);
        assert!(kept.len() <= 100 && kept.ends_with('…'), "{kept}");
        assert_eq!(stored("short", 100), "short");
    }

    #[test]
    fn a_subject_is_printable_ascii_whatever_comes() {
        assert_eq!(ascii("caf\u{e9} 🙂\nx", 99), "caf? ? x");
        assert_eq!(ascii(&"x".repeat(200), 99).len(), 99);
    }

    #[test]
    fn lines_are_wrapped_between_words_and_only_absurd_words_are_broken() {
        let text = wrapped(&format!("{} {}", "word ".repeat(40), "y".repeat(150)));
        let longest = text.lines().filter(|line| !line.starts_with('y')).map(str::len).max();
        assert!(longest <= Some(WIDTH), "{text}");
        assert!(text.ends_with(&"y".repeat(150)), "{text}");
        assert!(wrapped(&"z".repeat(4000)).lines().all(|line| line.len() <= WIDTH));
        // An ellipsis, which cut texts end with, takes one column.
        assert_eq!(wrapped(&format!("{} {}…", "a".repeat(50), "b".repeat(48))).lines().count(), 1);
    }
}
