//! A hub and two devices as real processes, ended when the test is over however it ends.

use super::{Home, Ran};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// How long anything awaited may take on a machine that others use too.
const PATIENCE: Duration = Duration::from_secs(60);

/// One process that is killed with its test.
pub(crate) struct Process(Child);

impl Process {
    /// Asks it to end as an operator would, and gives its exit code; `None` if a signal ended it.
    pub(crate) fn stop(mut self) -> Option<i32> {
        let pid = rustix::process::Pid::from_child(&self.0);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("it runs");
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            if let Some(status) = self.0.try_wait().expect("our child") {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("still running {PATIENCE:?} after SIGTERM");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The hub `hub`, the devices `office` (sends) and `shop` (takes).
pub(crate) struct Site {
    pub(crate) hub: Home,
    pub(crate) office: Home,
    pub(crate) shop: Home,
    port: u16,
}

impl Site {
    /// Starts the hub and has both devices join; no agent runs yet.
    pub(crate) fn open() -> (Self, Process) {
        let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").port();
        let site = Self { hub: Home::new(), office: Home::new(), shop: Home::new(), port };
        let hub = site.start_hub();
        for (name, home) in [("office", &site.office), ("shop", &site.shop)] {
            let invited = site.hub.run(&["invite", name, "--json"]);
            let ticket = invited.json()["ticket"].as_str().expect("a ticket").to_owned();
            let joined = home.command(&["join"]).env("TOWLINE_TICKET", ticket).output().expect("runs");
            assert!(joined.status.success(), "{joined:?}");
        }
        (site, hub)
    }

    /// Starts the hub, again on the same port, and waits until it answers its operator.
    pub(crate) fn start_hub(&self) -> Process {
        let listen = format!("127.0.0.1:{}", self.port);
        let args = ["hub", "--dev", "--listen", &listen, "--announce", &listen, "--http", "off"];
        let hub = start(&self.hub, &args);
        until("the hub answers", || self.hub.run(&["device", "ls"]).exit == Some(0));
        hub
    }

    /// Starts the shop's agent and waits until it is online.
    pub(crate) fn start_shop(&self) -> Process {
        let agent = start(&self.shop, &["agent"]);
        until("the shop is online", || self.office.run(&["who", "shop"]).exit == Some(0));
        agent
    }

    /// Starts the office's agent, for its outbox.
    pub(crate) fn start_office(&self) -> Process {
        let agent = start(&self.office, &["agent"]);
        until("the office is online", || self.office.run(&["who", "office"]).exit == Some(0));
        agent
    }

    /// Sends from the office, waiting for the outcome.
    pub(crate) fn send(&self, args: &[&str]) -> Ran {
        self.office.run(&[&["send", "--json", "--wait=60s"], args].concat())
    }

    /// A file in the shop's inbox.
    pub(crate) fn inbox(&self, name: &str) -> PathBuf {
        self.shop.path("device/inbox").join(name)
    }
}

fn start(home: &Home, args: &[&str]) -> Process {
    let log = std::fs::File::create(home.path("log")).expect("a log");
    let errors = log.try_clone().expect("a log");
    let mut command = home.command(args);
    Process(command.stdin(Stdio::null()).stdout(log).stderr(errors).spawn().expect("the program starts"))
}

/// Looks until it is so.
pub(crate) fn until(what: &str, mut so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !so() {
        assert!(start.elapsed() < PATIENCE, "not so after {PATIENCE:?}: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
