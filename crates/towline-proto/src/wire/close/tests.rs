use super::*;
use std::collections::HashSet;

fn encoded(close: &Close) -> Vec<u8> {
    let mut out = Vec::new();
    close.encode(&mut out);
    out
}

fn decoded(bytes: &[u8]) -> Result<Close, DecodeError> {
    let mut reader = Reader::new(bytes);
    let close = Close::decode(&mut reader)?;
    reader.finish("close")?;
    Ok(close)
}

#[test]
fn a_close_has_its_golden_bytes() {
    let close = Close::new(CloseCode::Memory).with_text("too slow").with_retry(Retry::After(Duration::from_secs(5)));
    assert_eq!(encoded(&close), b"\x30\x01\x02\x53\x88\x08too slow");
    assert_eq!(encoded(&Close::new(CloseCode::Done)), [0, 2, 0, 0]);
    assert_eq!(encoded(&Close::new(CloseCode::ProbeTimeout)), [0x40, 0x40, 3, 1, 0]);
}

#[test]
fn every_code_survives_the_wire_and_has_words_of_its_own() {
    let mut words = HashSet::new();
    for &code in CloseCode::ALL {
        let close = Close::new(code).with_text("text");
        assert_eq!(decoded(&encoded(&close)), Ok(close));
        assert!(words.insert(code.word()), "{} twice", code.word());
        assert_eq!(CloseCode::from_word(code.word()), Some(code));
        assert!(code.word().bytes().all(|b| b.is_ascii_lowercase() || b == b'-'), "fit for a metric's label");
        assert!(code.cause().ends_with('.') && code.cure().ends_with('.'));
    }
    assert!(CloseCode::ALL.is_sorted_by_key(|code| code.number()));
}

#[test]
fn a_code_of_a_newer_peer_is_kept_as_its_number() {
    let close = decoded(&[0x7f, 0xff, 0, 0, 0]).unwrap();
    assert_eq!(close.code, CloseCode::Unknown(0x3fff));
    assert_eq!(close.to_string(), "unknown (16383)");
}

#[test]
fn a_close_cut_short_anywhere_is_truncated() {
    let close = Close::new(CloseCode::Memory).with_text("too slow").with_retry(Retry::After(Duration::from_secs(5)));
    let bytes = encoded(&close);
    for cut in 0..bytes.len() {
        assert!(matches!(decoded(&bytes[..cut]), Err(DecodeError::Truncated { .. })), "at {cut}");
    }
}

#[test]
fn the_text_is_cut_to_its_limit_and_one_past_it_is_refused() {
    let close = Close::new(CloseCode::Done).with_text("ä".repeat(200));
    assert_eq!(close.text().len(), 256);
    assert_eq!(Close::new(CloseCode::Done).with_text(format!("x{}", "ä".repeat(200))).text().len(), 255);
    let mut bytes = vec![0, 2, 0];
    put_prefixed(&mut bytes, &[b'x'; 257]);
    assert_eq!(decoded(&bytes), Err(DecodeError::TooLong { what: "close text", limit: 256 }));
}

#[test]
fn values_that_do_not_belong_are_refused_by_name() {
    assert_eq!(decoded(&[0, 4, 0, 0]), Err(DecodeError::Invalid { what: "blame" }));
    assert_eq!(decoded(&[0, 2, 3, 0]), Err(DecodeError::Invalid { what: "retry" }));
    assert_eq!(decoded(&[0, 2, 0, 1, 0xff]), Err(DecodeError::Invalid { what: "close text" }));
    assert_eq!(decoded(&[0x80, 1, 0, 0, 2, 0, 0]), Err(DecodeError::Invalid { what: "close code" }));
}

#[test]
fn a_retry_beyond_its_limit_is_taken_as_the_limit() {
    let close = decoded(&[0, 2, 2, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0]).unwrap();
    assert_eq!(close.retry, Retry::After(MAX_RETRY_AFTER));
}

#[test]
fn a_peers_text_cannot_steer_a_terminal() {
    let close = Close::new(CloseCode::Done).with_text("\x1b[2Jgone\n");
    assert_eq!(close.to_string(), "done: \u{fffd}[2Jgone\u{fffd}");
}
