use super::*;
use towline_proto::ids::{Digest, KeyHash, MessageId};
use towline_proto::mail::code::Code;
use towline_proto::mail::keys::PublicKey;
use towline_proto::mail::outcome::Outcome;

#[test]
fn a_receipt_says_outcome_and_reason() {
    let mut receipt = Receipt {
        envelope: Digest([0; 32]),
        id: MessageId([0; 16]),
        outcome: Outcome::Failed,
        by: "rule print".into(),
        code: Code::HandlerExit,
        reason: "handler exit 3".into(),
        exit_code: Some(3),
        output: Digest([0; 32]),
        time_ms: 1,
        late: false,
        signer: Signer::Recipient,
        key: PublicKey([0; 32]),
    };
    assert_eq!(summary(&receipt), "failed: handler exit 3");
    (receipt.outcome, receipt.reason) = (Outcome::Handled, String::new());
    assert_eq!(summary(&receipt), "handled by rule print");
}

#[test]
fn a_device_that_never_came_is_not_offline_since_never() {
    let mut shop = Presence {
        device: "shop".parse().unwrap(),
        key: KeyHash([0; 32]),
        online: false,
        since_ms: 0,
        links: Vec::new(),
        rtt_us: 0,
        software: String::new(),
        waiting: 0,
    };
    let words = undecided(State::Accepted, 30 * 86_400_000, &shop);
    assert_eq!(words, "accepted; must start within 30d; shop has never been online");
    (shop.online, shop.since_ms) = (true, 1_762_077_600_123);
    let words = undecided(State::Delivered, 90_000, &shop);
    assert_eq!(words, "delivered; must start within 1m30s; shop is online since 2025-11-02T10:00:00Z");
}
