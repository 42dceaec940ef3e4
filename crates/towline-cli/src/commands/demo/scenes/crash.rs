//! The hub is killed while many messages are on their way: nothing is lost, nothing is done twice.

use super::super::fault::Fault;
use super::super::material;
use super::super::report::Row;
use super::super::stage::Stage;
use crate::failure::Failure;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// How many notes are sent: enough that many are on their way when the hub dies.
const NOTES: usize = 60;
/// How many are handled when it dies.
const HANDLED_BEFORE: usize = 5;

/// Sends notes, kills the hub in the middle, starts it again.
pub(crate) async fn hub_killed(stage: &mut Stage) -> Result<Row, Failure> {
    stage.program.scene("The hub is killed with SIGKILL while 60 notes are on their way");
    let notes = write_notes(stage)?;
    let log = stage.path("notes.log");
    let office = stage.home("office");
    let words: Vec<String> = notes.iter().map(|note| note.to_string_lossy().into_owned()).collect();
    let mut args = vec!["send"];
    args.extend(words.iter().map(String::as_str));
    args.extend(["shop:", stage.deadline(), "--wait=50s", "--quiet"]);
    stage.program.show(&format!(
        "towline --home {} send {}/note-*.txt shop: {} --wait=50s --quiet &",
        office.display(),
        stage.dir().display(),
        stage.deadline()
    ));
    let program = stage.program.clone();
    let home = office.clone();
    let args: Vec<String> = args.into_iter().map(str::to_owned).collect();
    let sending = async move {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        program.quietly(&home, &args).await
    };
    let (ran, begun) = tokio::join!(sending, kill_and_restart(stage, &log));
    let (ran, begun) = (ran?, begun?);

    let size = NOTES as u64 * note(0).len() as u64;
    let mut row = Row::new("hub killed amid 60 notes", size, ran.time);
    row.exit = ran.exit;
    let counts = handled(&log);
    row.outcome = format!("{} of {NOTES} handled", counts.len());
    row.expect(begun, || "the hub could not be killed in the middle: nothing had been handled by then".into());
    let doubled: Vec<&String> = counts.iter().filter(|&(_, &count)| count != 1).map(|(name, _)| name).collect();
    row.expect(doubled.is_empty(), || format!("handled more than once: {doubled:?}"));
    row.expect(counts.len() == NOTES, || format!("{} of {NOTES} notes were lost", NOTES - counts.len()));
    row.expect_exit(0);
    Ok(row)
}

/// Waits until some notes are handled, kills the hub and starts it again. Whether some were handled by then.
async fn kill_and_restart(stage: &mut Stage, log: &Path) -> Result<bool, Failure> {
    let patience = stage.patience();
    let begun = stage.until(patience, || handled(log).len() >= HANDLED_BEFORE).await;
    stage.program.show("kill -KILL %1   # the hub");
    stage.crew.kill("hub");
    stage.program.say(format!("the hub is dead; {} of {NOTES} notes were handled by then", handled(log).len()));
    if stage.has(Fault::LostAfterKill) {
        lose_the_store(&stage.home("hub").join("hub"));
    }
    stage.start_hub().await?;
    Ok(begun)
}

fn lose_the_store(dir: &Path) {
    for name in ["mail.db", "mail.db-wal", "mail.db-shm"] {
        // Some of them need not exist.
        let _ = std::fs::remove_file(dir.join(name));
    }
}

fn note(number: usize) -> String {
    format!("note {number:02}: table {} asks for the bill\n", number % 7 + 1)
}

fn write_notes(stage: &Stage) -> Result<Vec<PathBuf>, Failure> {
    (0..NOTES)
        .map(|number| {
            let path = stage.path(&format!("note-{number:02}.txt"));
            material::write(&path, note(number).as_bytes()).map(|()| path)
        })
        .collect()
}

/// How often each note stands in the handler's log.
fn handled(log: &Path) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for line in std::fs::read_to_string(log).unwrap_or_default().lines() {
        *counts.entry(line.to_owned()).or_insert(0) += 1;
    }
    counts
}
