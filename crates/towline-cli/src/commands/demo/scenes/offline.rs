//! A message to a stopped device: its sender hears that it expired, and since when the device was away.

use super::super::fault::Fault;
use super::super::report::Row;
use super::super::stage::Stage;
use super::told;
use crate::failure::Failure;

const TEXT: &str = "Please call back.";

/// The shop closes; a message with a short deadline expires.
pub(crate) async fn expires(stage: &mut Stage) -> Result<Row, Failure> {
    stage.program.scene("The shop closes; a message to it expires, and the sender knows why");
    let mut ended_badly = None;
    if !stage.has(Fault::NotStopped) {
        stage.program.show("kill -TERM %3   # the shop's agent");
        ended_badly = stage.crew.stop("shop");
    }
    let args = ["send", "--text", TEXT, "--name", "call.txt", "shop:", "--deadline=2s", "--wait"];
    let ran = stage.program.run(&stage.home("office"), &args).await?;
    let mut row = Row::new("text to a stopped device", TEXT.len() as u64, ran.time);
    told(stage, &ran, &mut row).await?;
    let outcome = row.outcome.clone();
    row.expect(outcome.starts_with("expired: offline since "), || {
        format!("`expired: offline since …` was due, not `{outcome}`")
    });
    row.expect_exit(7);
    row.expect(ended_badly.is_none(), || ended_badly.unwrap_or_default());
    Ok(row)
}
