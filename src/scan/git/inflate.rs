//! Inflate: zlib streams of a declared size.

use std::io::{self, Read};

use flate2::read::ZlibDecoder;
use flate2::{Decompress, FlushDecompress};

use super::deflate::{Decoder, SLACK};

/// Inflates one object after another with the same working memory.
pub struct Inflater {
    decoder: Decoder,
    /// For beginnings alone, made when it is first used.
    begun: Option<Box<Decompress>>,
}

/// The stream is damaged, cut, or not of the size it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the compressed stream is damaged")]
pub struct Damaged;

impl Inflater {
    pub fn new() -> Self {
        Self { decoder: Decoder::new(), begun: None }
    }

    /// Inflates `input` into `out`, which then holds exactly `size` bytes.
    ///
    /// Bytes after the stream are not looked at. A stream that is longer or shorter than `size` is damaged: it is never
    /// followed any further, so that a bomb costs what its header admits.
    pub fn inflate(&mut self, input: &[u8], size: usize, out: &mut Vec<u8>) -> Result<(), Damaged> {
        let room = size.checked_add(SLACK).ok_or(Damaged)?;
        // Old content is kept: wiping it would cost as much as inflating does.
        if out.len() < room {
            out.resize(room, 0);
        }
        let inflated = self.whole(input, size, &mut out[..room]);
        out.truncate(if inflated.is_some() { size } else { 0 });
        inflated.ok_or(Damaged)
    }

    fn whole(&mut self, input: &[u8], size: usize, out: &mut [u8]) -> Option<()> {
        let (head, stream) = input.split_first_chunk::<2>()?;
        is_header(*head).then_some(())?;
        let end = self.decoder.decode(stream, size, out).ok()?;
        let sum = stream[end..].first_chunk()?;
        (u32::from_be_bytes(*sum) == simd_adler32::adler32(&&out[..size])).then_some(())
    }

    /// Inflates the beginning of a stream: at most as much as `out` has room for. Says how many bytes that were.
    pub fn peek(&mut self, input: &[u8], out: &mut [u8]) -> Result<usize, Damaged> {
        let begun = self.begun.get_or_insert_with(|| Box::new(Decompress::new(true)));
        begun.reset(true);
        begun.decompress(input, out, FlushDecompress::None).map_err(|_| Damaged)?;
        usize::try_from(begun.total_out()).map_err(|_| Damaged)
    }
}

/// Whether a stream is of zlib's kind ([RFC 1950](https://www.rfc-editor.org/rfc/rfc1950)) and needs no dictionary.
fn is_header([method, flags]: [u8; 2]) -> bool {
    method & 15 == 8 && method >> 4 <= 7 && flags & 0x20 == 0 && u16::from_be_bytes([method, flags]).is_multiple_of(31)
}

/// A stream that is inflated while it is read, and ends at its declared size.
pub struct Inflated {
    bytes: Box<dyn Read>,
    left: u64,
}

impl Inflated {
    pub fn new(stored: impl Read + 'static, size: u64) -> Self {
        Self { bytes: Box::new(ZlibDecoder::new(stored)), left: size }
    }

    /// Reads over the first bytes, which do not count.
    pub fn pass(mut self, len: usize) -> io::Result<Self> {
        self.bytes.read_exact(&mut vec![0; len])?;
        Ok(self)
    }
}

impl Read for Inflated {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).map_or(buffer.len(), |left| left.min(buffer.len()));
        let read = self.bytes.read(&mut buffer[..most])?;
        if read == 0 && most > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.left -= read as u64;
        Ok(read)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test that cannot go on stops")]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn deflated(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn only_a_stream_of_the_declared_size_is_taken() {
        let text = b"one text, one size, one text, one size";
        let stream = deflated(text);
        let (mut inflater, mut out) = (Inflater::new(), Vec::new());
        inflater.inflate(&stream, text.len(), &mut out).unwrap();
        assert_eq!(out, text);
        for wrong in [0, 1, text.len() - 1, text.len() + 1] {
            assert_eq!(inflater.inflate(&stream, wrong, &mut out), Err(Damaged));
        }
        assert_eq!(inflater.inflate(&stream[..stream.len() - 1], text.len(), &mut out), Err(Damaged));
        inflater.inflate(&deflated(b""), 0, &mut out).unwrap();
        assert!(out.is_empty());
    }

    #[test]
    fn a_bomb_costs_its_declared_size() {
        let stream = deflated(&vec![0; 1 << 20]);
        let (mut inflater, mut out) = (Inflater::new(), Vec::new());
        assert_eq!(inflater.inflate(&stream, 100, &mut out), Err(Damaged));
        assert!(out.capacity() < 4096);
    }

    #[test]
    fn a_changed_byte_is_noticed() {
        let text: Vec<u8> = (0..4000_u32).map(|n| (n * n % 251) as u8).collect();
        let stream = deflated(&text);
        let (mut inflater, mut out) = (Inflater::new(), Vec::new());
        for at in 0..stream.len() {
            let mut bad = stream.clone();
            bad[at] ^= 0x10;
            let taken = inflater.inflate(&bad, text.len(), &mut out).is_ok();
            assert!(!taken || out == text, "byte {at}");
        }
    }
}
