//! Owns cutting a long JSON list, or lines of JSON, into its objects while it is read: the files with a state machine's
//! results can be of any length. Pure.

/// The longest object that is kept; a child's result has 256 KiB at most, and its input as much.
const LONGEST: usize = 4 << 20;

/// Cuts out the objects of a list.
#[derive(Debug, Default)]
pub(crate) struct Elements {
    /// The object that has begun.
    begun: Vec<u8>,
    depth: usize,
    in_text: bool,
    escaped: bool,
    /// Objects that were too long, and are left out.
    pub(crate) overlong: u64,
}

impl Elements {
    /// Takes more of the file, and hands each object that ends in it to `found`.
    pub(crate) fn push(&mut self, bytes: &[u8], mut found: impl FnMut(&[u8])) {
        for &byte in bytes {
            if self.depth == 0 && byte != b'{' {
                continue;
            }
            if self.begun.len() <= LONGEST {
                self.begun.push(byte);
            }
            self.see(byte);
            if self.depth == 0 {
                if self.begun.len() > LONGEST {
                    self.overlong += 1;
                } else {
                    found(&self.begun);
                }
                self.begun.clear();
            }
        }
    }

    fn see(&mut self, byte: u8) {
        match byte {
            _ if self.escaped => self.escaped = false,
            b'\\' if self.in_text => self.escaped = true,
            b'"' => self.in_text = !self.in_text,
            _ if self.in_text => {}
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => self.depth -= 1,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn cut(text: &str, piece: usize) -> Vec<Value> {
        let (mut elements, mut all) = (Elements::default(), Vec::new());
        for piece in text.as_bytes().chunks(piece) {
            elements.push(piece, |element| all.push(serde_json::from_slice(element).unwrap()));
        }
        all
    }

    #[test]
    fn a_list_and_lines_come_to_the_same() {
        let objects = [json!({"a": "}\"{\\", "b": [{}, [1]]}), json!({}), json!({"Output": "{\"x\":[\"]\"]}"})];
        let list = serde_json::to_string_pretty(&objects).unwrap();
        let lines: Vec<String> = objects.iter().map(Value::to_string).collect();
        for text in [list, lines.join("\n")] {
            assert_eq!(cut(&text, 3), objects);
        }
        assert!(cut("[]", 1).is_empty() && cut("", 1).is_empty());
    }

    #[test]
    fn what_is_too_long_is_left_out_and_counted() {
        let mut elements = Elements::default();
        let mut found = 0;
        elements.push(b"[{\"a\":\"", |_| found += 1);
        for _ in 0..6 {
            elements.push(&vec![b'x'; 1 << 20], |_| found += 1);
        }
        elements.push(b"\"},{}]", |_| found += 1);
        assert_eq!((found, elements.overlong), (1, 1));
    }

    proptest! {
        #[test]
        fn however_it_is_cut_the_objects_are_the_same(texts in proptest::collection::vec("\\PC{0,20}|[\"{}\\[\\]\\\\]{0,9}", 0..6), piece in 1..40_usize) {
            let objects: Vec<Value> = texts.iter().map(|text| json!({text.as_str(): text, "list": [text, {}]})).collect();
            prop_assert_eq!(cut(&json!(objects).to_string(), piece), objects);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            Elements::default().push(&bytes, |_| {});
        }
    }
}
