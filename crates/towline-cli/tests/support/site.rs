//! What most tests of the whole program start from: an office that sends and a shop that takes.

use super::World;
use super::home::Ran;
use std::path::PathBuf;

impl World {
    /// A development hub that the devices `office` and `shop` have joined; no agent runs yet.
    pub(crate) fn office_and_shop() -> Self {
        let mut world = Self::new();
        world.start_hub();
        world.join("office");
        world.join("shop");
        world
    }

    /// The same with the shop's agent online.
    pub(crate) fn office_and_open_shop() -> Self {
        let mut world = Self::office_and_shop();
        world.open("shop");
        world
    }

    /// A hub whose `hub.toml` says this, with devices of these names; no agent runs yet.
    pub(crate) fn with_hub_toml(text: &str, devices: &[&str]) -> Self {
        let mut world = Self::new();
        world.hub_args.clear();
        world.write("hub/hub/hub.toml", text);
        world.start_hub();
        devices.iter().for_each(|name| world.join(name));
        world
    }

    /// Starts a device's agent and waits until it is online.
    pub(crate) fn open(&mut self, name: &str) {
        self.start_agent(name);
        self.until_online(name);
    }

    /// A file in the directory, written whole with its folders.
    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> String {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("a file has a folder")).expect("folders");
        std::fs::write(&path, bytes).expect("written");
        path.to_str().expect("UTF-8").into()
    }

    /// Runs the program to its end, for `who`, in the folder `work`.
    pub(crate) fn ran(&self, who: &str, args: &[&str]) -> Ran {
        // Not in the world's own directory, where the homes bear the devices' names.
        let work = self.path("work");
        std::fs::create_dir_all(&work).expect("a folder");
        Ran::to_its_end(self.command(who).current_dir(work).args(args))
    }

    /// Sends from the office, waiting for the outcome.
    pub(crate) fn send(&self, args: &[&str]) -> Ran {
        self.ran("office", &[&["send", "--json", "--wait=60s"], args].concat())
    }

    /// A file in a device's inbox.
    pub(crate) fn inbox(&self, who: &str, name: &str) -> PathBuf {
        self.device(who).join("inbox").join(name)
    }
}

impl Ran {
    /// The one message that a `send --json` told of.
    pub(crate) fn message(&self) -> serde_json::Value {
        let messages = self.json()["messages"].clone();
        assert_eq!(messages.as_array().map(Vec::len), Some(1), "one message: {messages}");
        messages[0].clone()
    }

    /// What became of each message, by its recipient.
    pub(crate) fn states(&self) -> Vec<(String, String)> {
        let word = |value: &serde_json::Value| value.as_str().expect("text").to_owned();
        let messages = self.json()["messages"].clone();
        let one = |message: &serde_json::Value| (word(&message["to"]), word(&message["state"]));
        messages.as_array().expect("a list").iter().map(one).collect()
    }
}
