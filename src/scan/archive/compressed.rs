//! Compressed streams: gzip, bzip2, xz and Zstandard.

use std::io::{self, BufReader, Read};

use ruzstd::decoding::StreamingDecoder;

use super::Format;

/// Memory that an xz or Zstandard stream may ask for. The highest presets of both stay below.
const MAX_WINDOW_KIB: u32 = 256 << 10;

/// The content of a compressed stream; of all of them, where several follow each other.
pub fn unpack<'r>(format: Format, stream: &'r mut dyn Read) -> io::Result<Box<dyn Read + 'r>> {
    let stream = BufReader::with_capacity(64 << 10, stream);
    Ok(match format {
        Format::Bzip2 => Box::new(bzip2::read::MultiBzDecoder::new(stream)),
        Format::Gzip => Box::new(flate2::read::MultiGzDecoder::new(stream)),
        Format::Xz => Box::new(lzma_rust2::XzReader::new_mem_limit(stream, true, MAX_WINDOW_KIB)),
        Format::Zstd => Box::new(Frames { state: Some(State::Between(stream)) }),
        _ => return Err(io::ErrorKind::Unsupported.into()),
    })
}

/// Zstandard frames, one behind the other.
struct Frames<R: Read> {
    state: Option<State<R>>,
}

enum State<R: Read> {
    Between(BufReader<R>),
    Within(Box<StreamingDecoder<BufReader<R>, ruzstd::decoding::FrameDecoder>>),
}

impl<R: Read> Read for Frames<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.state.take() {
                None => return Ok(0),
                Some(State::Between(mut rest)) => {
                    if io::BufRead::fill_buf(&mut rest)?.is_empty() {
                        return Ok(0);
                    }
                    let window = u64::from(MAX_WINDOW_KIB) << 10;
                    let frame = StreamingDecoder::new_with_max_window_size(rest, window)
                        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))?;
                    self.state = Some(State::Within(Box::new(frame)));
                }
                Some(State::Within(mut frame)) => {
                    let read = frame.read(buffer)?;
                    if read > 0 || buffer.is_empty() {
                        self.state = Some(State::Within(frame));
                        return Ok(read);
                    }
                    self.state = Some(State::Between(frame.into_inner()));
                }
            }
        }
    }
}
