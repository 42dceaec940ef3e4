//! What travels in the demo: an order, a stock list as old programs write it, a large file, many small notes.

use crate::failure::Failure;
use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::path::Path;

/// An order that the handler prints.
pub(super) const ORDER: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<order>
  <number>2026-0417</number>
  <customer>Bäckerei Müller &amp; Søn</customer>
  <line sku="B-12" count="40">Rye loaf, 750 g</line>
  <line sku="B-77" count="6">Wedding cake, three tiers</line>
</order>
"#;

/// An order that the handler cannot print: it has no number.
pub(super) const ORDER_WITHOUT_NUMBER: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<order><customer>nobody</customer></order>
"#;

/// How many rows the stock list has.
const STOCK_ROWS: usize = 2_000;

/// Delimited text with CRLF and Latin-1, byte for byte what must arrive.
pub(super) fn stock() -> Vec<u8> {
    let mut text = b"sku;name;price\r\n".to_vec();
    for row in 0..STOCK_ROWS {
        // 0xe4 and 0xfc are Latin-1 and not valid UTF-8.
        text.extend_from_slice(format!("B-{row};K").as_bytes());
        text.extend_from_slice(b"\xe4se und Br\xfche");
        text.extend_from_slice(format!(";{}.{:02}\r\n", row % 90, row % 100).as_bytes());
    }
    text
}

/// Writes `size` bytes that no compression shortens and no two blocks of which are alike.
pub(super) fn large(path: &Path, size: u64) -> Result<(), Failure> {
    let io = |error: std::io::Error| Failure::io("write", path, &error);
    let mut stream = blake3::Hasher::new_derive_key("towline demo large file").finalize_xof();
    let mut file = BufWriter::new(File::create(path).map_err(io)?);
    let mut block = vec![0; 1 << 20];
    let mut left = size;
    while left > 0 {
        let length = block.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        stream.fill(&mut block[..length]);
        file.write_all(&block[..length]).map_err(io)?;
        left -= length as u64;
    }
    file.flush().map_err(io)
}

/// The file's BLAKE3, or `None` if it is not there.
pub(super) fn digest(path: &Path) -> Option<blake3::Hash> {
    let mut file = File::open(path).ok()?;
    let mut hasher = blake3::Hasher::new();
    let mut block = vec![0; 1 << 20];
    loop {
        match file.read(&mut block) {
            Ok(0) => return Some(hasher.finalize()),
            Ok(length) => hasher.update(&block[..length]),
            Err(_) => return None,
        };
    }
}

/// Writes a file.
pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    std::fs::write(path, bytes).map_err(|error| Failure::io("write", path, &error))
}
