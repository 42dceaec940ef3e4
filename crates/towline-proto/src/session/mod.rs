//! A session: streams in lanes over links that come and go.

pub mod handshake;
