//! What an agent prints with `--json`.

use crate::support::until;
use crate::{events, outcome, post, told, world};

#[test]
fn with_json_an_agent_tells_each_step_on_a_line_of_its_own() {
    let mut world =
        world("[[rule]]\nname = \"three\"\nfile = [\"*.job\"]\ncommand = [\"/bin/sh\", \"-c\", \"exit 3\"]\n");
    let job = post(&world, "a.job", "four", &[]);
    outcome(&world, &job);
    let note = post(&world, "note.txt", "x", &[]);
    outcome(&world, &note);
    let kinds = |id: &str| -> Vec<String> {
        let all = events(&world, "shop");
        all.iter().filter(|told| told["id"] == id).map(|told| told["event"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(kinds(&job), ["message-stored", "message-started", "message-outcome"]);
    assert_eq!(kinds(&note), kinds(&job).iter().map(String::as_str).collect::<Vec<_>>());
    let outcomes = told(&world, "shop", "message-outcome");
    let failed = &outcomes[0];
    assert_eq!(
        (&failed["from"], &failed["name"], &failed["rule"]),
        (&"office".into(), &"a.job".into(), &"three".into())
    );
    assert_eq!((&failed["outcome"], &failed["exit_code"]), (&"failed".into(), &3.into()), "{failed}");
    assert_eq!((&outcomes[1]["outcome"], &outcomes[1]["by"]), (&"handled".into(), &"inbox".into()));
    assert_eq!(told(&world, "shop", "message-stored")[0]["size"], 4);

    world.kill("hub");
    world.start_hub();
    until("the agent is connected again", || told(&world, "shop", "connected").len() == 2);
    let lost = told(&world, "shop", "disconnected");
    assert!(lost.len() == 1 && lost[0]["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "{lost:?}");
    assert_eq!(world.terminate("shop").code(), Some(0));
    let all = events(&world, "shop");
    let ends: Vec<_> = [all.first(), all.last()].iter().map(|told| told.unwrap()["event"].clone()).collect();
    assert_eq!(ends, ["started", "ended"]);
}
