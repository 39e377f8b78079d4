//! Owns turning an object's bytes into its text: as they are, or unpacked if they begin as gzip does, at constant memory
//! however much a few bytes unpack to. No I/O.

use std::io::Write;

use flate2::write::MultiGzDecoder;

/// The first bytes of gzip (RFC 1952, section 2.3.1).
const MAGIC: [u8; 2] = [0x1f, 0x8b];
/// Unpacked at a time; deflate makes a thousand times as much of it at most.
const PIECE: usize = 4096;

/// Turns bytes into text.
pub struct Unpack {
    packing: Packing,
    /// Bytes that came before the packing was known.
    begun: Vec<u8>,
}

enum Packing {
    Unknown,
    None,
    Gzip(Box<MultiGzDecoder<Vec<u8>>>),
}

/// The bytes are not what gzip makes, or they end too early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DamagedGzip;

impl Unpack {
    /// For the bytes of an object from its beginning.
    pub fn detecting() -> Self {
        Self { packing: Packing::Unknown, begun: Vec::new() }
    }

    /// For bytes that are not packed.
    pub fn plain() -> Self {
        Self { packing: Packing::None, begun: Vec::new() }
    }

    /// Whether the bytes are gzip; none while too few have come to know.
    pub fn is_gzip(&self) -> Option<bool> {
        match self.packing {
            Packing::Unknown => None,
            Packing::None => Some(false),
            Packing::Gzip(_) => Some(true),
        }
    }

    /// Takes all or some of `bytes` and appends the text of them; returns how many were taken.
    pub fn push(&mut self, bytes: &[u8], text: &mut Vec<u8>) -> Result<usize, DamagedGzip> {
        match &mut self.packing {
            Packing::None => {
                text.extend_from_slice(bytes);
                Ok(bytes.len())
            }
            Packing::Gzip(decoder) => {
                let piece = &bytes[..bytes.len().min(PIECE)];
                let done = decoder.write_all(piece);
                text.append(decoder.get_mut());
                done.map(|()| piece.len()).map_err(|_| DamagedGzip)
            }
            Packing::Unknown => {
                let taken = bytes.len().min(MAGIC.len() - self.begun.len());
                self.begun.extend_from_slice(&bytes[..taken]);
                if self.begun.len() == MAGIC.len() {
                    self.detected(text)?;
                }
                Ok(taken)
            }
        }
    }

    fn detected(&mut self, text: &mut Vec<u8>) -> Result<(), DamagedGzip> {
        let begun = std::mem::take(&mut self.begun);
        self.packing =
            if begun == MAGIC { Packing::Gzip(Box::new(MultiGzDecoder::new(Vec::new()))) } else { Packing::None };
        self.push(&begun, text).map(|_| ())
    }

    /// Appends what is left when there are no more bytes.
    pub fn finish(&mut self, text: &mut Vec<u8>) -> Result<(), DamagedGzip> {
        text.append(&mut self.begun);
        if let Packing::Gzip(decoder) = &mut self.packing {
            let done = decoder.try_finish();
            text.append(decoder.get_mut());
            return done.map_err(|_| DamagedGzip);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use proptest::prelude::*;

    use super::*;

    fn packed(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn unpacked(bytes: &[u8], piece: usize) -> (Vec<u8>, Result<(), DamagedGzip>) {
        let (mut unpack, mut text) = (Unpack::detecting(), Vec::new());
        for mut piece in bytes.chunks(piece) {
            while !piece.is_empty() {
                match unpack.push(piece, &mut text) {
                    Ok(taken) => piece = &piece[taken..],
                    Err(damaged) => return (text, Err(damaged)),
                }
            }
        }
        let end = unpack.finish(&mut text);
        (text, end)
    }

    #[test]
    fn what_is_cut_off_or_damaged_is_told_after_what_can_be_read() {
        let text: Vec<u8> = (0..200_000_u32).flat_map(|number| number.to_string().into_bytes()).collect();
        let whole = packed(&text);
        let (read, end) = unpacked(&whole[..whole.len() / 2], 1000);
        assert!(read.len() > 1000 && text.starts_with(&read) && end == Err(DamagedGzip));
        let mut damaged = whole.clone();
        let last = damaged.len() - 6;
        damaged[last] ^= 1;
        assert_eq!(unpacked(&damaged, 1000), (text, Err(DamagedGzip)), "the checksum");
        assert_eq!(unpacked(&[0x1f, 0x8b], 1).1, Err(DamagedGzip));
    }

    #[test]
    fn little_that_unpacks_to_much_is_taken_in_pieces() {
        let bomb = packed(&vec![0; 64 << 20]);
        let (mut unpack, mut text, mut at) = (Unpack::detecting(), Vec::new(), 0);
        while at < bomb.len() {
            text.clear();
            at += unpack.push(&bomb[at..], &mut text).unwrap();
            assert!(text.len() <= PIECE * 1100, "{}", text.len());
        }
    }

    proptest! {
        #[test]
        fn text_comes_out_as_it_was_put_in(
            texts in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..500), 1..4), piece in 1..100_usize,
        ) {
            let whole = texts.concat();
            // Several packed texts one after another are the packed form of all.
            let bytes: Vec<u8> = texts.iter().flat_map(|text| packed(text)).collect();
            prop_assert_eq!(unpacked(&bytes, piece), (whole.clone(), Ok(())));
            if !whole.starts_with(&MAGIC) {
                prop_assert_eq!(unpacked(&whole, piece), (whole, Ok(())));
            }
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), piece in 1..50_usize) {
            let _ = unpacked(&bytes, piece);
            let _ = unpacked(&[&MAGIC[..], &[8, 0], &bytes[..]].concat(), piece);
        }
    }
}
