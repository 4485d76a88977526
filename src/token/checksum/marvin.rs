//! Marvin32 and the three ways Microsoft writes it into a key.
//!
//! Marvin32 is the keyed hash of the .NET runtime; Microsoft's key format uses it with fixed, public seeds, as a
//! checksum.

use zeroize::Zeroizing;

use super::text;
use crate::token::encoding;

/// Marvin32, both halves folded into 32 bits.
fn marvin32(data: &[u8], seed: u64) -> u32 {
    let halves = seed.to_be_bytes();
    let mut low = u32::from_be_bytes([halves[4], halves[5], halves[6], halves[7]]);
    let mut high = u32::from_be_bytes([halves[0], halves[1], halves[2], halves[3]]);
    let mut blocks = data.chunks_exact(4);
    for block in &mut blocks {
        low = low.wrapping_add(u32::from_le_bytes([block[0], block[1], block[2], block[3]]));
        (low, high) = mix(low, high);
    }
    let mut last = [0; 4];
    let rest = blocks.remainder();
    last[..rest.len()].copy_from_slice(rest);
    last[rest.len()] = 0x80;
    low = low.wrapping_add(u32::from_le_bytes(last));
    (low, high) = mix(low, high);
    (low, high) = mix(low, high);
    low ^ high
}

fn mix(mut low: u32, mut high: u32) -> (u32, u32) {
    high ^= low;
    low = low.rotate_left(20).wrapping_add(high);
    high = high.rotate_left(9) ^ low;
    low = low.rotate_left(27).wrapping_add(high);
    high = high.rotate_left(19);
    (low, high)
}

/// The first four base62 digits of the hash, its bytes least significant first, over the first 60 bytes.
pub fn cask(token: &[u8], out: &mut [u8; 8]) -> Option<usize> {
    let bytes = encoding::base64(token.get(..80)?)?;
    let hash = marvin32(&bytes, u64::from_be_bytes(*b"Default0")).swap_bytes();
    let mut digits = [0; 6];
    text::digits(hash, text::BASE62, &mut digits);
    // Short numbers are filled up on the right, unlike everywhere else.
    let zeros = digits[..5].iter().take_while(|digit| **digit == b'0').count();
    digits.rotate_left(zeros);
    out[..4].copy_from_slice(&digits[..4]);
    Some(4)
}

/// The first three of six digits in base 66.
pub fn aad(before: &[u8], out: &mut [u8; 8]) -> usize {
    const BASE66: &[u8; 66] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ1234567890.-_~";
    let mut digits = [0; 6];
    text::digits(marvin32(before, 0x4161_6450_7764_3030), BASE66, &mut digits);
    out[..3].copy_from_slice(&digits[..3]);
    3
}

/// Whether the last four bytes are the hash of those before, under one of the seeds.
pub fn tail_fits(token: &[u8], seeds: &[u64]) -> bool {
    let Some(bytes) = encoding::base64(token) else { return false };
    let Some((data, tail)) = bytes.split_last_chunk::<4>() else { return false };
    seeds.iter().any(|seed| marvin32(data, *seed).to_le_bytes() == *tail)
}

/// Writes the hash under the first seed into the last four bytes.
pub fn tail_complete(token: &mut [u8], seeds: &[u64]) -> bool {
    let (Some(seed), Some(mut bytes)) = (seeds.first(), encoding::base64(token)) else { return false };
    let Some((data, tail)) = bytes.split_last_chunk_mut::<4>() else { return false };
    *tail = marvin32(data, *seed).to_le_bytes();
    let alphabet = if token.iter().any(|byte| matches!(byte, b'-' | b'_')) {
        encoding::Alphabet::Url
    } else {
        encoding::Alphabet::Standard
    };
    let text = Zeroizing::new(encoding::to_base64(&bytes, alphabet));
    let Some(place) = token.get_mut(..text.len()) else { return false };
    place.copy_from_slice(&text);
    true
}
