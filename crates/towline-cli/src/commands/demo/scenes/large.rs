//! A large file travels straight to the recipient's disk, and the bar counts what is written there.

use super::super::material;
use super::super::report::Row;
use super::super::stage::Stage;
use super::{same_bytes, told};
use crate::failure::Failure;

/// The large file.
pub(crate) async fn with_a_bar(stage: &Stage) -> Result<Row, Failure> {
    stage.program.scene("A large file: the bar counts bytes that the shop has written");
    let source = stage.path("catalogue.bin");
    material::large(&source, stage.size)?;
    let args = ["send", &source.to_string_lossy(), "shop:", stage.deadline(), "--wait"];
    let ran = stage.program.run(&stage.home("office"), &args).await?;
    let mut row = Row::new("large file", stage.size, ran.time);
    told(stage, &ran, &mut row).await?;
    row.expect_exit(0);
    same_bytes(&mut row, &source, &stage.home("shop").join("device/inbox/catalogue.bin"));
    Ok(row)
}
