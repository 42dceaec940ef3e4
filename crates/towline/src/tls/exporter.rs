//! Keying material exported from a TLS 1.3 connection (RFC 8446 §7.5).
//!
//! rustls exports from its buffered connections only. Of an unbuffered one it hands the exporter master secret to the
//! connection's key log, so each connection has a key log of its own that keeps that one secret and nothing else, and
//! the two derivations are done here. A test compares the result with rustls' own exporter at the other end.

use std::fmt;
use std::sync::Mutex;

use rustls::crypto::tls13::OkmBlock;
use rustls::{KeyLog, SupportedCipherSuite};

/// The name under which a key log is handed the exporter master secret.
const EXPORTER_SECRET: &str = "EXPORTER_SECRET";

/// Keeps one connection's exporter master secret from the handshake until the exports are made.
#[derive(Default)]
pub(super) struct Catch(Mutex<Option<OkmBlock>>);

impl Catch {
    /// The secret, once; `None` before the handshake is through.
    pub(super) fn take(&self) -> Option<OkmBlock> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).take()
    }
}

impl KeyLog for Catch {
    fn log(&self, label: &str, _client_random: &[u8], secret: &[u8]) {
        if label == EXPORTER_SECRET {
            *self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = Some(OkmBlock::new(secret));
        }
    }

    fn will_log(&self, label: &str) -> bool {
        label == EXPORTER_SECRET
    }
}

impl fmt::Debug for Catch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Catch")
    }
}

/// 32 bytes that only the two ends of this connection know, bound to `label` (with an empty context).
pub(super) fn export(suite: SupportedCipherSuite, master: &OkmBlock, label: &[u8]) -> Option<[u8; 32]> {
    let suite = suite.tls13()?;
    let empty = suite.common.hash_provider.hash(&[]);
    let empty = empty.as_ref();

    let mut derived = [0; OkmBlock::MAX_LEN];
    let derived = derived.get_mut(..empty.len())?;
    expand_label(suite, master, label, empty, derived)?;

    let mut out = [0; 32];
    expand_label(suite, &OkmBlock::new(derived), b"exporter", empty, &mut out)?;
    Some(out)
}

/// HKDF-Expand-Label (RFC 8446 §7.1).
fn expand_label(
    suite: &rustls::Tls13CipherSuite,
    secret: &OkmBlock,
    label: &[u8],
    context: &[u8],
    out: &mut [u8],
) -> Option<()> {
    const NAMESPACE: &[u8] = b"tls13 ";
    let length = u16::try_from(out.len()).ok()?.to_be_bytes();
    let label_length = [u8::try_from(NAMESPACE.len() + label.len()).ok()?];
    let context_length = [u8::try_from(context.len()).ok()?];
    let info = [&length, &label_length[..], NAMESPACE, label, &context_length, context];
    suite.hkdf_provider.expander_for_okm(secret).expand_slice(&info, out).ok()
}
