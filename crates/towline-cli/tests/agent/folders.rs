//! Files in folders of old programs, and what the agent's device is called.

use crate::{names, outcome, post, status, world};
use std::fs;

const SAVE: &str = "[[rule]]\nname = \"old\"\nfile = [\"*.DLM\"]\nsave_to = \"DIR/hub/old\"\n";

#[test]
fn an_old_programs_files_are_never_replaced_and_its_new_ones_are_numbered() {
    // The folder must be there before the agent starts; the hub's home is there by then, whatever else is.
    let mut world = world("");
    let folder = world.path("old/in");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("DRUCK.DLM"), "its own").unwrap();
    fs::write(folder.join("DRUCK (3).DLM"), "its own too").unwrap();
    let rule = SAVE.replace("DIR/hub/old", folder.to_str().unwrap());
    fs::write(world.device("shop").join("agent.toml"), rule).unwrap();
    assert_eq!(world.terminate("shop").code(), Some(0));
    world.start_agent("shop");
    let ids: Vec<String> = (0..3).map(|n| post(&world, "DRUCK.DLM", &format!("job {n}"), &[])).collect();
    for (id, number) in ids.iter().zip([2, 4, 5]) {
        let said = outcome(&world, id);
        let placed = format!("placed as DRUCK ({number}).DLM");
        assert_eq!((&said["receipt"]["reason"], &said["receipt"]["by"]), (&placed.into(), &"save_to old".into()));
    }
    let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
    assert_eq!((read("DRUCK.DLM"), read("DRUCK (3).DLM")), ("its own".into(), "its own too".into()));
    assert_eq!([2, 4, 5].map(|n| read(&format!("DRUCK ({n}).DLM"))), ["job 0", "job 1", "job 2"]);
    // A program that takes its file away makes room for the name.
    fs::remove_file(folder.join("DRUCK.DLM")).unwrap();
    outcome(&world, &post(&world, "DRUCK.DLM", "again", &[]));
    assert_eq!(read("DRUCK.DLM"), "again");
    assert!(fs::read_dir(&folder).unwrap().all(|e| !e.unwrap().file_name().to_string_lossy().starts_with('.')));
}

#[test]
fn a_device_renamed_while_its_agent_is_connected_takes_messages_under_its_new_name() {
    let world = world("");
    outcome(&world, &post(&world, "before.txt", "x", &[]));
    world.ask("hub", &["device", "rename", "shop", "store"]);
    let old = world.run("office", ["send", "--text", "x", "--name", "lost.txt", "shop:"]);
    assert_eq!(old.status.code(), Some(3), "{old:?}");
    world.ask("office", &["send", "--text", "x", "--name", "after.txt", "--wait=30s", "store:"]);
    assert_eq!(names(&world.device("shop").join("inbox")), ["after.txt", "before.txt"]);
}

#[test]
fn a_live_message_is_placed_or_handled_and_never_kept() {
    let world = world(
        "[[rule]]\nname = \"bell\"\nfile = [\"*.bell\"]\ncommand = [\"/bin/cp\", \"--\", \"{file}\", \"DIR/rung\"]\n",
    );
    let bell = post(&world, "a.bell", "ding", &["--live"]);
    let note = post(&world, "note.txt", "now", &["--live"]);
    crate::until("both are handled", || {
        fs::read_to_string(world.path("rung")).is_ok_and(|text| text == "ding")
            && names(&world.device("shop").join("inbox")) == ["note.txt"]
    });
    let live = crate::told(&world, "shop", "live-message");
    assert_eq!(live.iter().map(|told| &told["id"]).collect::<Vec<_>>(), [&bell, &note].map(|id| id.as_str()));
    assert_eq!((&live[0]["rule"], &live[1]["by"]), (&"bell".into(), &"inbox".into()));
    assert_eq!(status(&world, &bell)["error"]["code"], "no-such-message");
    crate::until("nothing is left of them", || names(&world.device("shop").join("store")).is_empty());
}
