use proptest::prelude::*;
use serde_json::Value;

use super::*;

fn marked(line: &str, offset: u64, kind: &str) -> String {
    let mut out = Vec::new();
    mark(line.as_bytes(), &Note { offset, kind: kind.to_owned() }, &mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn a_line_keeps_its_own_bytes_and_gets_a_note() {
    assert_eq!(
        marked(r#" {"b":1.0, "a":"x" }"#, 7, "400/other"),
        "{\"b\":1.0, \"a\":\"x\" ,\"redrive\":{\"offset\":7,\"kind\":\"400/other\"}}\n"
    );
    assert_eq!(marked("{}", 0, "k"), "{\"redrive\":{\"offset\":0,\"kind\":\"k\"}}\n");
}

#[test]
fn a_note_takes_the_place_of_an_older_one() {
    let once = marked(r#"{"a":",\"redrive\":{}"}"#, 7, "400/other");
    assert_eq!(marked(&once, 9, "404/x"), marked(r#"{"a":",\"redrive\":{}"}"#, 9, "404/x"));
}

#[test]
fn what_is_no_object_goes_in_as_base64_and_once_only() {
    let once = marked("{\"a\"", 7, "unreadable/not_json");
    assert_eq!(once, "{\"line\":\"eyJhIg==\",\"redrive\":{\"offset\":7,\"kind\":\"unreadable/not_json\"}}\n");
    assert_eq!(marked(&once, 0, "unreadable/not_a_record"), once.replace("not_json", "not_a_record").replace('7', "0"));
    assert!(marked(r#"{"redrive":{"offset":1},"a":2}"#, 0, "k").starts_with("{\"line\":"), "a note that is not ours");
}

proptest! {
    #[test]
    fn every_line_is_one_line_that_has_a_note_and_all_it_had(line in "\\PC{0,40}", fields in proptest::collection::btree_map("[a-z]{1,6}", "\\PC{0,9}", 0..4), offset: u64) {
        let object = serde_json::to_string(&fields).unwrap();
        for line in [line.as_str(), object.as_str()] {
            let text = marked(&marked(line, 1, "first"), offset, "second");
            prop_assert_eq!(text.matches('\n').count(), 1);
            let note = note_of(text.as_bytes()).unwrap();
            prop_assert_eq!((note.offset, &*note.kind), (offset, "second"));
        }
        let mut back: Value = serde_json::from_str(&marked(&object, offset, "k")).unwrap();
        back.as_object_mut().unwrap().remove("redrive");
        prop_assert_eq!(back, serde_json::to_value(&fields).unwrap());
    }
}
