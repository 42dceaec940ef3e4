//! TLS 1.3 with pinned keys: the only module that names rustls or aws-lc-rs.

pub(crate) mod keys;
