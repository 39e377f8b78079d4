//! Owns one bulk request in the making: the text that was read, the lines in it, and the body made of them
//! (<https://docs.opensearch.org/latest/api-reference/document-apis/bulk/>).
//!
//! This is the hot path. Text is appended to one buffer, each line is read in place, and its document is decoded straight
//! into the body; both buffers are used again for the next request. No I/O.

use std::ops::Range;

use jiff::Timestamp;

use crate::naming::IndexNaming;
use crate::record::{self, Unreadable};

/// The longest body of a bulk request. The smallest instances take 10 MiB, and engines recommend 5 to 15.
pub const LONGEST_BODY: usize = 5 << 20;
/// The longest text that one request is made of, so that lines which give no document end it as well.
const LONGEST_TEXT: usize = 8 << 20;
/// The most records of one request: the response has some 400 bytes for each.
const MOST_RECORDS: usize = 5000;
/// The longest line that is read. Firehose takes records of 1,000 KiB.
const LONGEST_LINE: usize = 16 << 20;

/// A line of the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchLine {
    /// Where it begins in the object's text.
    pub offset: u64,
    /// Where it stands in [`Batch::text`].
    pub line: Range<usize>,
    /// Its part of the body, or why it has none.
    pub frame: Result<Range<usize>, Unreadable>,
    /// When the record came to Firehose.
    pub arrival: Option<Timestamp>,
}

/// One bulk request in the making.
#[derive(Debug, Default)]
pub struct Batch {
    /// What was read of the object. Whoever reads appends here.
    pub text: Vec<u8>,
    /// The lines of it that are in this batch.
    pub entries: Vec<BatchLine>,
    /// The bulk request's body.
    pub body: Vec<u8>,
    /// How far `text` belongs to this batch.
    used: usize,
    /// How far `text` was searched for the end of a line.
    searched: usize,
    /// Where `text` begins in the object's text.
    base: u64,
    /// In the middle of a line that is too long.
    skipping: bool,
    /// Lines that were too long, since the object began.
    pub overlong: u64,
    name: String,
}

impl Batch {
    /// A batch whose text begins at `offset` of the object's.
    pub fn from(offset: u64) -> Self {
        Self { base: offset, ..Self::default() }
    }

    /// Where the text of this batch begins in the object's.
    pub fn start(&self) -> u64 {
        self.base
    }

    /// How far the object's text is in this batch or an earlier one.
    pub fn position(&self) -> u64 {
        self.base + self.used as u64
    }

    /// Takes lines of the text until the body has about `limit` bytes. Whether it has, so that it is to be sent before
    /// more is read.
    pub fn fill(&mut self, naming: &IndexNaming, limit: usize) -> bool {
        while let Some(end) = memchr::memchr(b'\n', &self.text[self.searched..]).map(|at| self.searched + at) {
            if !self.take(end, naming, limit) {
                return true;
            }
            self.used = end + 1;
            self.searched = self.used;
            if self.is_full(limit) {
                return true;
            }
        }
        self.searched = self.text.len();
        if self.searched - self.used > LONGEST_LINE {
            self.overlong += u64::from(!self.skipping);
            self.skipping = true;
            self.used = self.searched;
        }
        false
    }

    /// Takes a last line that nothing ends. Whether there was room.
    pub fn finish(&mut self, naming: &IndexNaming, limit: usize) -> bool {
        let end = self.text.len();
        let fits = end == self.used || self.take(end, naming, limit);
        if fits {
            self.used = end;
            self.searched = end;
        }
        fits
    }

    /// Makes room for the next one. The text that no line was taken from stays.
    pub fn next(&mut self) {
        self.base = self.position();
        self.text.copy_within(self.used.., 0);
        self.text.truncate(self.text.len() - self.used);
        self.searched -= self.used;
        self.used = 0;
        self.entries.clear();
        self.body.clear();
    }

    fn is_full(&self, limit: usize) -> bool {
        self.body.len() >= limit || self.used >= LONGEST_TEXT || self.entries.len() >= MOST_RECORDS
    }

    /// Takes the line that ends at `end`; not if its document would be one too many.
    fn take(&mut self, end: usize, naming: &IndexNaming, limit: usize) -> bool {
        if self.skipping {
            self.skipping = false;
            return true;
        }
        let line = &self.text[self.used..end];
        if line.trim_ascii_start().is_empty() {
            return true;
        }
        let start = self.body.len();
        let (frame, arrival) = match frame(line, naming, &mut self.name, &mut self.body) {
            Ok(arrival) => (Ok(start..self.body.len()), arrival),
            Err(unreadable) => {
                self.body.truncate(start);
                (Err(unreadable), None)
            }
        };
        if self.body.len() > limit && start > 0 && frame.is_ok() {
            self.body.truncate(start);
            return false;
        }
        let offset = self.base + self.used as u64;
        self.entries.push(BatchLine { offset, line: self.used..end, frame, arrival });
        true
    }
}

/// Appends what makes the engine create the document of `line`; says when it arrived. On an error the body has to be cut
/// back.
fn frame(
    line: &[u8],
    naming: &IndexNaming,
    name: &mut String,
    body: &mut Vec<u8>,
) -> Result<Option<Timestamp>, Unreadable> {
    let record = record::read(line)?;
    naming.index_of(&record, name)?;
    body.extend_from_slice(br#"{"create":{"_index":"#);
    put_text(name, body);
    body.extend_from_slice(br#","_id":"#);
    put_text(&record.id, body);
    if let Some(doc_type) = naming.type_of(&record) {
        body.extend_from_slice(br#","_type":"#);
        put_text(doc_type, body);
    }
    body.extend_from_slice(b"}}\n");
    let start = body.len();
    base64_simd::STANDARD.decode_append(&record.data, body).map_err(|_| Unreadable::BadBase64)?;
    let document = &mut body[start..];
    if document.trim_ascii_start().is_empty() {
        return Err(Unreadable::EmptyDocument);
    }
    keep_on_one_line(document);
    body.push(b'\n');
    Ok(record.arrival)
}

/// Between the tokens of a JSON text a space is as good as a newline, and inside of a text a newline is not legal.
fn keep_on_one_line(document: &mut [u8]) {
    let mut from = 0;
    while let Some(at) = memchr::memchr(b'\n', &document[from..]) {
        document[from + at] = b' ';
        from += at + 1;
    }
}

/// Appends a text as JSON has it.
fn put_text(text: &str, body: &mut Vec<u8>) {
    if text.bytes().all(|byte| byte >= b' ' && byte != b'"' && byte != b'\\') {
        body.push(b'"');
        body.extend_from_slice(text.as_bytes());
        body.push(b'"');
    } else {
        // Writing a text to memory cannot fail.
        let _ = serde_json::to_writer(body, text);
    }
}

#[cfg(test)]
mod tests;
