//! An agent as a real process, beside a real hub: what becomes of messages, of commands, of files in the outbox.

#[path = "../support/mod.rs"]
mod support;

mod body;
mod commands;
mod events;
mod folders;
mod outbox;

use serde_json::Value;
use std::path::Path;
use support::{World, until};

/// A hub, the device `office` that sends, and the device `shop` with a running agent and this configuration, in which
/// `DIR` stands for the world's directory.
fn world(config: &str) -> World {
    let mut world = World::new();
    world.agent_args = vec!["--json".into()];
    world.start_hub();
    world.join("office");
    world.join("shop");
    let config = config.replace("DIR", world.path("").to_str().unwrap().trim_end_matches('/'));
    std::fs::write(world.device("shop").join("agent.toml"), config).unwrap();
    world.start_agent("shop");
    world.until_online("shop");
    world
}

/// Sends a text of this name to the shop; returns the message's id as soon as it is accepted.
fn post(world: &World, name: &str, text: &str, more: &[&str]) -> String {
    let args = [&["--json", "send", "--text", text, "--name", name, "shop"], more].concat();
    let answer: Value = serde_json::from_str(&world.ask("office", &args)).unwrap();
    answer["messages"][0]["id"].as_str().unwrap().to_owned()
}

/// What the hub says of a message.
fn status(world: &World, id: &str) -> Value {
    serde_json::from_slice(&world.run("office", ["--json", "status", id]).stdout).unwrap()
}

/// Waits for a message's outcome and returns what the hub says then.
fn outcome(world: &World, id: &str) -> Value {
    let decided = ["handled", "failed", "refused", "expired", "withdrawn", "unclear"];
    until(&format!("{id} has an outcome"), || {
        status(world, id)["state"].as_str().is_some_and(|state| decided.contains(&state))
    });
    status(world, id)
}

/// The events that a device's agent told, in order.
fn events(world: &World, device: &str) -> Vec<Value> {
    let lines = world.log(device);
    let objects = lines.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    objects.filter(|object| object["event"].is_string()).collect()
}

/// The events of one kind.
fn told(world: &World, device: &str, event: &str) -> Vec<Value> {
    events(world, device).into_iter().filter(|told| told["event"] == event).collect()
}

/// How many lines a file has.
fn lines(path: &Path) -> usize {
    std::fs::read_to_string(path).map_or(0, |text| text.lines().count())
}

/// The names in a folder that are not hidden, sorted.
fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into()).collect();
    names.retain(|name| !name.starts_with('.'));
    names.sort();
    names
}
