//! An XML order runs a handler; one that the handler cannot print comes back as failed, with the handler's exit code.

use super::super::fault::Fault;
use super::super::material;
use super::super::report::Row;
use super::super::stage::Stage;
use super::{same_bytes, told};
use crate::failure::Failure;

/// An order arrives and is printed.
pub(crate) async fn printed(stage: &Stage) -> Result<Row, Failure> {
    stage.program.scene("An XML order runs a handler at the shop");
    let order = stage.path("order.xml");
    material::write(&order, material::ORDER.as_bytes())?;
    let args = ["send", &order.to_string_lossy(), "shop:", stage.deadline(), "--wait"];
    let ran = stage.program.run(&stage.home("office"), &args).await?;
    let mut row = Row::new("XML order, printed", material::ORDER.len() as u64, ran.time);
    told(stage, &ran, &mut row).await?;
    row.expect_exit(0);
    let arrived = stage.path("printed/order.xml");
    if stage.has(Fault::Corrupt) {
        flip_a_byte(&arrived)?;
    }
    same_bytes(&mut row, &order, &arrived);
    Ok(row)
}

/// An order without a number arrives; the handler exits 3 and the sender sees it.
pub(crate) async fn rejected(stage: &Stage) -> Result<Row, Failure> {
    stage.program.scene("An order without a number: the handler exits 3, and the sender is told");
    let order = stage.path("order-without-number.xml");
    material::write(&order, material::ORDER_WITHOUT_NUMBER.as_bytes())?;
    let args = ["send", &order.to_string_lossy(), "shop:", stage.deadline(), "--wait"];
    let ran = stage.program.run(&stage.home("office"), &args).await?;
    let mut row = Row::new("XML order, rejected", material::ORDER_WITHOUT_NUMBER.len() as u64, ran.time);
    told(stage, &ran, &mut row).await?;
    let outcome = row.outcome.clone();
    row.expect(outcome == "failed: handler exit 3", || format!("`failed: handler exit 3` was due, not `{outcome}`"));
    row.expect_exit(11);
    Ok(row)
}

fn flip_a_byte(path: &std::path::Path) -> Result<(), Failure> {
    let mut bytes = std::fs::read(path).map_err(|error| Failure::io("read", path, &error))?;
    if let Some(byte) = bytes.last_mut() {
        *byte ^= 1;
    }
    material::write(path, &bytes)
}
