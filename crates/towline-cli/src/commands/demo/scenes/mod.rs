//! The scenes, in the order of the day. Each gives its commands, looks at what came of them, and reports one row.

pub(super) mod crash;
pub(super) mod large;
pub(super) mod offline;
pub(super) mod opening;
pub(super) mod order;
pub(super) mod outbox;

use super::program::Ran;
use super::report::Row;
use super::stage::Stage;
use crate::failure::Failure;
use std::path::Path;

/// What a sender is told in the end, as the table shows it; asked of the hub and verified by public keys alone.
async fn told(stage: &Stage, ran: &Ran, row: &mut Row) -> Result<(), Failure> {
    row.exit = ran.exit;
    let Some(id) = ran.stdout.split_whitespace().find(|word| word.starts_with("m_")) else {
        row.outcome = "not accepted".into();
        row.expect(false, || format!("the message was not accepted: {}", ran.stdout.trim()));
        return Ok(());
    };
    let status = stage.program.ask(&stage.home("office"), &["status", id, "--verify"]).await?;
    row.outcome = status["summary"].as_str().unwrap_or("unknown").to_owned();
    row.expect(status["verified"] == true, || format!("the receipt of {id} does not verify"));
    Ok(())
}

/// Whether the arrived file is the sent one, byte for byte.
fn same_bytes(row: &mut Row, sent: &Path, arrived: &Path) {
    use super::material::digest;
    let (sent, got) = (digest(sent), digest(arrived));
    row.expect(got.is_some(), || format!("{} did not arrive", arrived.display()));
    row.expect(sent == got, || format!("{} is not what was sent", arrived.display()));
}
