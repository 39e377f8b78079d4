//! Owns reading one object as text, from any line of it on. A read that breaks off or stalls goes on from the byte that it
//! had reached, for gzip as well: the unpacking waits meanwhile.

use std::time::Duration;

use bytes::Bytes;
use emite_aws::error::AwsError;
use emite_aws::s3::objects::{Bucket, Content, GET_OBJECT, StoredObject};
use jiff::Timestamp;
use tokio::time::timeout;

use crate::unpack::Unpack;

/// How long nothing may come. The call's own time-outs end with the headers of the response.
const STALL: Duration = Duration::from_secs(20);
/// How often a read may break off without getting any further.
const MOST_BREAKS: u32 = 5;

/// An object that is being read.
pub(crate) struct ObjectReader<'a> {
    bucket: &'a Bucket,
    key: &'a str,
    /// The version that is read.
    pub(crate) etag: String,
    /// Its bytes, as they are stored.
    pub(crate) size: u64,
    /// When it was written.
    pub(crate) modified: Option<Timestamp>,
    unpack: Unpack,
    content: Content,
    chunk: Bytes,
    /// How many bytes were read.
    read: u64,
    breaks: u32,
    /// How much text is still to be thrown away.
    skip: u64,
}

/// What came of opening an object.
pub(crate) enum Opened<'a> {
    Open(Box<ObjectReader<'a>>),
    /// Another run has moved it.
    Gone,
    /// It cannot be read, for a reason that reading on does not remove.
    Unreadable(&'static str),
}

/// What came of reading on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReadProgress {
    /// There may be more.
    More,
    /// That was all.
    End,
    /// Another run has moved it meanwhile.
    Gone,
    /// The rest cannot be read, for a reason that reading on does not remove.
    Broken(&'static str),
}

const ARCHIVED: &str = "it is in an archive: restore it first";
pub(crate) const CHANGED: &str = "it was changed while it was read";
const NOT_A_LINE: &str = "no line of it begins at the offset";
const BAD_CHECKSUM: &str = "what was read of it does not fit its checksum";
const BAD_GZIP: &str = "its gzip packing is damaged or cut off";

impl<'a> ObjectReader<'a> {
    /// Opens an object to read its text from `offset` on.
    pub(crate) async fn open(bucket: &'a Bucket, key: &'a str, offset: u64) -> Result<Opened<'a>, AwsError> {
        let stored = match bucket.get(key).await {
            Ok(stored) => stored,
            Err(error) if error.is_not_found() && error.code != "NoSuchBucket" => return Ok(Opened::Gone),
            Err(error) if error.is_archived() => return Ok(Opened::Unreadable(ARCHIVED)),
            Err(error) => return Err(error),
        };
        let mut object = Self::of(bucket, key, stored);
        if offset == 0 {
            return Ok(Opened::Open(Box::new(object)));
        }
        // Packed text has to be read from its beginning.
        while object.unpack.is_gzip().is_none() {
            if object.read(&mut Vec::new()).await? != ReadProgress::More {
                return Ok(Opened::Unreadable(NOT_A_LINE));
            }
        }
        if object.is_gzip() {
            object.skip = offset;
            return Ok(Opened::Open(Box::new(object)));
        }
        // One byte more, to see that it ends a line.
        object.unpack = Unpack::plain();
        (object.read, object.skip, object.chunk) = (offset - 1, 1, Bytes::new());
        Ok(match object.reopen().await? {
            ReadProgress::More => Opened::Open(Box::new(object)),
            ReadProgress::End => Opened::Unreadable(NOT_A_LINE),
            ReadProgress::Gone => Opened::Gone,
            ReadProgress::Broken(cause) => Opened::Unreadable(cause),
        })
    }

    fn of(bucket: &'a Bucket, key: &'a str, stored: StoredObject) -> Self {
        let StoredObject { etag, size, modified, content } = stored;
        Self {
            bucket,
            key,
            etag,
            size,
            modified,
            unpack: Unpack::detecting(),
            content,
            chunk: Bytes::new(),
            read: 0,
            breaks: 0,
            skip: 0,
        }
    }

    /// Whether its text is packed.
    pub(crate) fn is_gzip(&self) -> bool {
        self.unpack.is_gzip() == Some(true)
    }

    /// Appends some more of the text.
    pub(crate) async fn read(&mut self, text: &mut Vec<u8>) -> Result<ReadProgress, AwsError> {
        if self.chunk.is_empty() {
            match timeout(STALL, self.content.next()).await {
                Ok(Ok(Some(chunk))) => {
                    self.read += chunk.len() as u64;
                    self.breaks = 0;
                    self.chunk = chunk;
                }
                Ok(Ok(None)) if self.read >= self.size => return Ok(self.finish(text)),
                Ok(Err(_)) if self.read >= self.size => return Ok(ReadProgress::Broken(BAD_CHECKSUM)),
                _ => return self.reopen().await,
            }
        }
        let before = text.len();
        let Ok(taken) = self.unpack.push(&self.chunk, text) else {
            return Ok(ReadProgress::Broken(BAD_GZIP));
        };
        let _ = self.chunk.split_to(taken);
        Ok(self.skip_from(before, text))
    }

    fn finish(&mut self, text: &mut Vec<u8>) -> ReadProgress {
        let before = text.len();
        if self.unpack.finish(text).is_err() {
            return ReadProgress::Broken(BAD_GZIP);
        }
        match self.skip_from(before, text) {
            ReadProgress::More if self.skip == 0 => ReadProgress::End,
            _ => ReadProgress::Broken(NOT_A_LINE),
        }
    }

    /// Asks for the bytes that have not come yet.
    async fn reopen(&mut self) -> Result<ReadProgress, AwsError> {
        self.breaks += 1;
        if self.breaks > MOST_BREAKS {
            return Err(AwsError::unusable(GET_OBJECT, "the object's content breaks off again and again".to_owned()));
        }
        tracing::info!(bytes = self.read, "reading on");
        match self.bucket.get_from(self.key, self.read, &self.etag).await {
            Ok(content) => {
                self.content = content;
                Ok(ReadProgress::More)
            }
            Err(error) if error.is_of_another_version() => Ok(ReadProgress::Broken(CHANGED)),
            Err(error) if error.is_not_found() => Ok(ReadProgress::Gone),
            Err(error) if error.is_past_the_end() => Ok(ReadProgress::End),
            Err(error) => Err(error),
        }
    }

    /// Throws text away that comes before the offset.
    fn skip_from(&mut self, before: usize, text: &mut Vec<u8>) -> ReadProgress {
        if self.skip == 0 {
            return ReadProgress::More;
        }
        let gone = (text.len() - before).min(usize::try_from(self.skip).unwrap_or(usize::MAX));
        self.skip -= gone as u64;
        let last = text.drain(before..before + gone).next_back();
        if self.skip > 0 || last.is_none_or(|byte| byte == b'\n') {
            return ReadProgress::More;
        }
        text.truncate(before);
        ReadProgress::Broken(NOT_A_LINE)
    }
}
