//! The hub opens, two devices join, their agents start.

use super::super::fault::Fault;
use super::super::material;
use super::super::stage::Stage;
use crate::exit::Exit;
use crate::failure::Failure;
use std::os::unix::fs::PermissionsExt;

/// Everything that must stand before the first message.
pub(crate) async fn open(stage: &mut Stage) -> Result<(), Failure> {
    let dir = stage.dir().display().to_string();
    stage.program.say(format!("A hub and two devices, `office` and `shop`, as processes of their own in {dir}."));
    stage.program.say(format!("To type the commands yourself: alias towline={}", stage.program.exe().display()));
    stage.program.scene("A hub, and two devices that join it");
    stage.start_hub().await?;
    for device in ["office", "shop"] {
        join(stage, device).await?;
    }
    furnish_the_shop(stage)?;
    stage.start_agent("office").await?;
    if !stage.has(Fault::NoAgent) {
        stage.start_agent("shop").await?;
    }
    Ok(())
}

/// Invites a device and has it join with the line that the hub printed.
async fn join(stage: &Stage, device: &str) -> Result<(), Failure> {
    let invited = stage.program.run(&stage.home("hub"), &["invite", device]).await?;
    let ticket = invited.stdout.split_whitespace().find(|word| word.starts_with("towline1"));
    let ticket = ticket.ok_or_else(|| Failure::new(Exit::Error, format!("`invite {device}` printed no ticket")))?;
    let joined = stage.program.run(&stage.home(device), &["join", ticket]).await?;
    if joined.exit == Some(0) { Ok(()) } else { Err(Failure::new(Exit::Error, format!("{device} could not join"))) }
}

/// The shop's rules and its two handlers.
fn furnish_the_shop(stage: &Stage) -> Result<(), Failure> {
    let printed = stage.path("printed");
    std::fs::create_dir_all(&printed).map_err(|error| Failure::io("make", &printed, &error))?;
    let (reject, repeat) = (stage.has(Fault::WrongExit), stage.has(Fault::Doubled));
    let print = script(stage, "print-order", &print_order(if reject { 4 } else { 3 }))?;
    let note = script(stage, "take-note", &take_note(if repeat { 2 } else { 1 }))?;
    let rules = stage.home("shop").join("device/agent.toml");
    let text = format!(
        r#"# What the shop does with what arrives. The first rule that matches decides; without one a file stands in the inbox.
[[rule]]
name = "print-order"
from = ["office"]
file = ["*.xml"]
command = ["{print}", "{{file}}"]
timeout = "30s"

[[rule]]
name = "take-note"
from = ["office"]
file = ["note-*.txt"]
command = ["{note}", "{{file}}"]
timeout = "30s"
"#
    );
    material::write(&rules, text.as_bytes())?;
    stage.program.show(&format!("cat {}", rules.display()));
    stage.program.say(text.trim_end());
    Ok(())
}

/// Writes an executable script and gives its path.
fn script(stage: &Stage, name: &str, text: &str) -> Result<String, Failure> {
    let path = stage.path(name);
    material::write(&path, text.as_bytes())?;
    let mode = std::fs::Permissions::from_mode(0o700);
    std::fs::set_permissions(&path, mode).map_err(|error| Failure::io("make executable", &path, &error))?;
    Ok(path.display().to_string())
}

fn print_order(exit: u8) -> String {
    format!(
        r#"#!/bin/sh
# Stands for the program that prints an order: it copies it into `printed/`, or exits {exit} if it has no number.
grep -q '<number>' "$1" || {{ echo "an order without a number" >&2; exit {exit}; }}
cp "$1" "$(dirname "$0")/printed/order.xml" && echo "printed order $(sed -n 's:.*<number>\(.*\)</number>.*:\1:p' "$1")"
"#
    )
}

fn take_note(times: usize) -> String {
    let take = "cat \"$1\" >> \"$(dirname \"$0\")/notes.log\"\n";
    format!(
        "#!/bin/sh\n# Stands for a program that must never do a thing twice: it keeps a log.\n{}",
        take.repeat(times)
    )
}
