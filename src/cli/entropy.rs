//! Key material from the operating system.

use rand::TryRng as _;
use rand::rngs::SysRng;
use zeroize::Zeroizing;

use super::HintExt as _;

/// 32 bytes that nobody can guess.
pub fn key() -> anyhow::Result<Zeroizing<[u8; 32]>> {
    let mut bytes = Zeroizing::new([0; 32]);
    SysRng
        .try_fill_bytes(&mut *bytes)
        .map_err(|error| anyhow::anyhow!("the operating system gives no random bytes ({error})"))
        .hint("try again; on a machine that has just started, wait a moment")?;
    Ok(bytes)
}
