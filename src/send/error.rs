//! What can go wrong before anything is sent.

/// Why the sender could not do what it was asked. What the *receiver* answered is never an error: see [`super::Answer`].
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    #[error("no form with this property came up in {tries} signatures")]
    FormNotFound { tries: u32 },
    #[error("the http client could not be built")]
    Http(#[source] reqwest::Error),
    #[error("the key is not a P-256 private key in PKCS#8 PEM")]
    Key(#[source] p256::pkcs8::Error),
    #[error("the key could not be written as PEM")]
    KeyEncoding,
    #[error("the key list server could not listen on {addr}")]
    Listen {
        addr: std::net::SocketAddr,
        #[source]
        source: std::io::Error,
    },
    #[error("no key with the id {id} is listed")]
    NoSuchKey { id: String },
    #[error("the operating system gave no random bytes")]
    Random,
    #[error("the records are neither a JSON array of objects nor one token per line")]
    Records(#[source] serde_json::Error),
}
