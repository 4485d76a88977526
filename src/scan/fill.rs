//! Filling a buffer from whatever there is to read, a chunk at a time.

use std::fs::File;
use std::io::{self, Read};

pub const CHUNK: usize = 4 << 20;

/// Bytes to be read, and what else can be done with them.
pub enum Input<'i> {
    File(&'i mut File),
    /// A stream of known length.
    Sized(&'i mut dyn Read, u64),
    Stream(&'i mut dyn Read),
}

impl Read for Input<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::File(file) => file.read(buffer),
            Self::Sized(stream, _) | Self::Stream(stream) => stream.read(buffer),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum More {
    End,
    Unreadable,
    Yes,
}

impl More {
    pub fn is_end(self) -> bool {
        self == Self::End
    }
}

/// Fills the buffer behind what is in it, and lets it grow up to a chunk.
pub fn fill(input: &mut Input<'_>, buffer: &mut Vec<u8>, kept: usize) -> (usize, More) {
    let mut filled = kept;
    loop {
        if filled == buffer.len() {
            if filled >= CHUNK {
                return (filled, More::Yes);
            }
            buffer.resize(CHUNK, 0);
        }
        match input.read(&mut buffer[filled..]) {
            Ok(0) => return (filled, More::End),
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return (filled, More::Unreadable),
        }
    }
}
