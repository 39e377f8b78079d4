//! Owns the object with those lines of a source that the domain never takes, each as it was with a note of where it stood
//! and why. Written at constant memory, and there as a whole or not at all.

use emite_aws::error::AwsError;
use emite_aws::s3::objects::{Bucket, GET_OBJECT, MultipartUpload};
use serde::{Deserialize, Serialize};

use crate::object::{ObjectReader, Opened, ReadProgress};
use crate::record::is_object;

/// What is kept in memory before an upload in parts begins; a part has 5 MiB at least.
const PART: usize = 8 << 20;

/// Such an object in the making.
pub(crate) struct Quarantine<'a> {
    bucket: &'a Bucket,
    key: &'a str,
    buffer: Vec<u8>,
    upload: Option<MultipartUpload>,
    /// How many lines it has.
    pub(crate) lines: u64,
}

impl<'a> Quarantine<'a> {
    pub(crate) fn new(bucket: &'a Bucket, key: &'a str) -> Self {
        Self { bucket, key, buffer: Vec::new(), upload: None, lines: 0 }
    }

    /// Carries over the lines of the existing object that stem from source lines before `offset`.
    pub(crate) async fn carry_over(&mut self, offset: u64) -> Result<(), AwsError> {
        let unusable = |problem: &str| AwsError::unusable(GET_OBJECT, format!("the quarantine object: {problem}"));
        let mut object = match ObjectReader::open(self.bucket, self.key, 0).await? {
            Opened::Open(object) => object,
            Opened::Gone => return Ok(()),
            Opened::Unreadable(cause) => return Err(unusable(cause)),
        };
        let mut text = Vec::new();
        loop {
            let read = object.read(&mut text).await?;
            while let Some(end) = memchr::memchr(b'\n', &text) {
                let line: Vec<u8> = text.drain(..=end).collect();
                if note_of(&line).is_some_and(|note| note.offset < offset) {
                    self.buffer.extend_from_slice(&line);
                    self.lines += 1;
                }
            }
            self.relieve().await?;
            match read {
                ReadProgress::More => {}
                ReadProgress::End => return Ok(()),
                ReadProgress::Gone => return Err(unusable("it was moved while it was read")),
                ReadProgress::Broken(cause) => return Err(unusable(cause)),
            }
        }
    }

    /// Adds the line of the source that begins at `offset`.
    pub(crate) async fn add(&mut self, line: &[u8], offset: u64, kind: &str) -> Result<(), AwsError> {
        mark(line, &Note { offset, kind: kind.to_owned() }, &mut self.buffer);
        self.lines += 1;
        self.relieve().await
    }

    async fn relieve(&mut self) -> Result<(), AwsError> {
        if self.buffer.len() < PART {
            return Ok(());
        }
        let content = std::mem::take(&mut self.buffer);
        let upload = match &mut self.upload {
            Some(upload) => upload,
            none => none.insert(self.bucket.begin_upload(self.key).await?),
        };
        self.bucket.upload_part(self.key, upload, content).await
    }

    /// Puts it into the bucket, in place of what is there, or only of the version `etag`. Nothing if it has no line.
    pub(crate) async fn store(self, etag: Option<&str>) -> Result<(), AwsError> {
        match self.upload {
            None if self.lines == 0 => Ok(()),
            None => self.bucket.put(self.key, self.buffer, etag).await,
            Some(mut upload) => {
                if !self.buffer.is_empty() {
                    self.bucket.upload_part(self.key, &mut upload, self.buffer).await?;
                }
                self.bucket.complete_upload(self.key, upload, etag).await
            }
        }
    }

    /// Leaves no trace of it.
    pub(crate) async fn discard(&mut self) -> Result<(), AwsError> {
        match self.upload.take() {
            Some(upload) => self.bucket.abort_upload(self.key, upload).await,
            None => Ok(()),
        }
    }
}

/// What a line in quarantine says of itself, in `redrive`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Note {
    /// Where the line began in the text of its source.
    offset: u64,
    /// Why it is here.
    kind: String,
}

#[derive(Deserialize)]
struct Marked {
    redrive: Note,
}

fn note_of(line: &[u8]) -> Option<Note> {
    serde_json::from_slice(line).ok().map(|marked: Marked| marked.redrive)
}

/// Appends a line with its note. One that is a JSON object keeps every byte of its own, but for an older note; what is
/// none goes in as base64, once.
fn mark(line: &[u8], note: &Note, out: &mut Vec<u8>) {
    let line = line.trim_ascii();
    // Writing a number and a text cannot fail.
    let note = serde_json::to_string(note).unwrap_or_default();
    if let Some(fields) = is_object(line).then(|| without_note(line)).flatten() {
        out.extend_from_slice(fields);
        let comma = if fields.trim_ascii_end().ends_with(b"{") { "" } else { "," };
        out.extend_from_slice(format!("{comma}\"redrive\":{note}}}\n").as_bytes());
    } else {
        let line = base64_simd::STANDARD.encode_to_string(line);
        out.extend_from_slice(format!("{{\"line\":\"{line}\",\"redrive\":{note}}}\n").as_bytes());
    }
}

/// The object without its last brace and without the note that [`mark`] put there; none if there is another one.
fn without_note(line: &[u8]) -> Option<&[u8]> {
    const BEFORE: &[u8] = b",\"redrive\":";
    let fields = line.strip_suffix(b"}")?;
    let bare = match memchr::memmem::rfind(fields, BEFORE) {
        Some(at) if serde_json::from_slice::<Note>(&fields[at + BEFORE.len()..]).is_ok() => &fields[..at],
        _ => fields,
    };
    let names: RedriveField = serde_json::from_slice(&[bare, b"}"].concat()).ok()?;
    names.redrive.is_none().then_some(bare)
}

#[derive(Deserialize)]
struct RedriveField {
    redrive: Option<serde::de::IgnoredAny>,
}

#[cfg(test)]
mod tests;
