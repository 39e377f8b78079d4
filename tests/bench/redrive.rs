//! Measures what the redrive does to text that is in memory: one core, no network, no disk. Prints one JSON object.

use std::fs::File;
use std::io::{Error, Read};
use std::time::{Duration, Instant};

use redrive::batch::{Batch, LONGEST_BODY};
use redrive::naming::{IndexNaming, Rotation};
use redrive::sha256;
use redrive::unpack::Unpack;
use serde_json::{Value, json};

/// What comes at a time.
const PIECE: usize = 64 << 10;

fn main() -> Result<(), Error> {
    let mut paths = std::env::args_os().skip(1);
    let (Some(text), Some(packed)) = (paths.next(), paths.next()) else {
        return Err(Error::other("two files are needed: failed records, and some packed with gzip"));
    };
    let (decoding, hashing, records) = decode(File::open(text)?)?;
    let unpacking = unpack(File::open(packed)?)?;
    println!(
        "{}",
        json!({"records": records, "decode": decoding.told(), "sha256": hashing.told(), "gunzip": unpacking.told()})
    );
    Ok(())
}

/// How much was done in how long.
#[derive(Default)]
struct Measured {
    bytes: u64,
    took: Duration,
}

impl Measured {
    fn add<T>(&mut self, work: impl FnOnce() -> (u64, T)) -> T {
        let began = Instant::now();
        let (bytes, outcome) = work();
        self.took += began.elapsed();
        self.bytes += bytes;
        outcome
    }

    fn told(&self) -> Value {
        json!({"bytes": self.bytes, "seconds": self.took.as_secs_f64()})
    }
}

/// Makes bulk requests of the text, and hashes each as a signature needs it.
fn decode(mut text: File) -> Result<(Measured, Measured, u64), Error> {
    let naming =
        IndexNaming { index: "emite-contacts".into(), rotation: Rotation::Month, doc_type: Some("contacts".into()) };
    let (mut decoding, mut hashing, mut records) = (Measured::default(), Measured::default(), 0);
    let mut batch = Batch::from(0);
    loop {
        // As in the function, text is appended where it will be decoded.
        let read = text.by_ref().take(PIECE as u64).read_to_end(&mut batch.text)? as u64;
        decoding.bytes += read;
        loop {
            let mut full = decoding.add(|| (0, batch.fill(&naming, LONGEST_BODY)));
            if !full && read > 0 {
                break;
            }
            full = full || !decoding.add(|| (0, batch.finish(&naming, LONGEST_BODY)));
            records += batch.entries.iter().filter(|entry| entry.frame.is_ok()).count() as u64;
            hashing.add(|| (batch.body.len() as u64, std::hint::black_box(sha256(&batch.body))));
            decoding.add(|| (0, batch.next()));
            if !full {
                return Ok((decoding, hashing, records));
            }
        }
    }
}

fn unpack(mut packed: File) -> Result<Measured, Error> {
    let (mut unpacking, mut unpack, mut text) = (Measured::default(), Unpack::detecting(), Vec::new());
    let mut piece = vec![0; PIECE];
    loop {
        let read = packed.read(&mut piece)?;
        let mut rest = &piece[..read];
        while !rest.is_empty() {
            let taken = unpacking.add(|| {
                let taken = unpack.push(rest, &mut text);
                (text.len() as u64, taken)
            });
            rest = &rest[taken.map_err(|_| Error::other("the packing is damaged"))?..];
            text.clear();
        }
        if read == 0 {
            return Ok(unpacking);
        }
    }
}
