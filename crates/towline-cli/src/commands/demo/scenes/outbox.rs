//! A delimited text file dropped into a folder arrives by name: no program but `cp` is needed to send.

use super::super::material;
use super::super::report::Row;
use super::super::stage::Stage;
use super::same_bytes;
use crate::failure::Failure;
use std::time::Instant;

/// A stock list is dropped into the outbox.
pub(crate) async fn dropped(stage: &mut Stage) -> Result<Row, Failure> {
    stage.program.scene("A stock list (CRLF, Latin-1) dropped into the office's outbox arrives by name");
    let stock = material::stock();
    let source = stage.path("stock.csv");
    material::write(&source, &stock)?;
    let outbox = stage.home("office").join("device/outbox/shop");
    std::fs::create_dir_all(&outbox).map_err(|error| Failure::io("make", &outbox, &error))?;
    stage.program.show(&format!("cp {} {}/", source.display(), outbox.display()));
    let start = Instant::now();
    std::fs::copy(&source, outbox.join("stock.csv")).map_err(|error| Failure::io("write", &outbox, &error))?;
    let arrived = stage.home("shop").join("device/inbox/stock.csv");
    let patience = stage.patience();
    let there = stage.until(patience, || arrived.exists()).await;
    let mut row = Row::new("CSV through the outbox", stock.len() as u64, start.elapsed());
    row.outcome = if there { "in the inbox".into() } else { "not there".into() };
    same_bytes(&mut row, &source, &arrived);
    if there {
        stage.program.show(&format!("ls {}", arrived.display()));
        stage.program.say(arrived.display());
    }
    Ok(row)
}
