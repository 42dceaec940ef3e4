//! A hub and devices as real processes of the real program, on loopback, in a directory of their own.

// Each test file uses its part of this.
#![allow(dead_code, unreachable_pub)]

pub mod history;
pub mod home;
pub mod net;
pub mod port;
pub mod sender;
pub mod site;

use port::Port;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

/// How long a process may take to come up or to go down on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often something awaited is looked at.
const LOOK: Duration = Duration::from_millis(10);

/// The program under test.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_towline");

/// A number from the environment, else the default.
pub fn setting(name: &str, default: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Whether to run to the full figures of the promises, however long that takes (`TOWLINE_TEST_LONG`).
pub fn long() -> bool {
    std::env::var_os("TOWLINE_TEST_LONG").is_some()
}

/// Waits until `so` holds.
pub fn until(what: &str, mut so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !so() {
        assert!(start.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
        std::thread::sleep(LOOK);
    }
}

/// The directory, the ports and the processes. Dropping it ends them all.
pub struct World {
    dir: tempfile::TempDir,
    port: Port,
    http: Port,
    /// More arguments for the hub.
    pub hub_args: Vec<String>,
    /// More arguments for every agent.
    pub agent_args: Vec<String>,
    /// Where the hub listens, without the port.
    pub hub_host: String,
    /// What stands ahead of the program for somebody: `ip netns exec …`.
    pub wrapped: BTreeMap<String, Vec<String>>,
    running: BTreeMap<String, Child>,
}

impl World {
    /// An empty world with two free ports.
    pub fn new() -> Self {
        Self {
            // A socket's path has room for 107 bytes, so the directory's name is short.
            dir: tempfile::Builder::new().prefix("tl").tempdir().unwrap(),
            port: Port::free(),
            http: Port::free(),
            hub_args: vec!["--dev".into()],
            agent_args: Vec::new(),
            hub_host: "127.0.0.1".into(),
            wrapped: BTreeMap::new(),
            running: BTreeMap::new(),
        }
    }

    /// A hub and devices with running agents; each device's `agent.toml` is what `config` says for its name.
    pub fn with_devices(devices: &[&str], config: impl Fn(&World, &str) -> String) -> Self {
        let mut world = Self::new();
        world.start_hub();
        for name in devices {
            world.join(name);
            fs::write(world.device(name).join("agent.toml"), config(&world, name)).unwrap();
            world.start_agent(name);
        }
        world
    }

    /// A path in the directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A device's folder.
    pub fn device(&self, name: &str) -> PathBuf {
        self.path(name).join("device")
    }

    /// The hub's HTTP address.
    pub fn http(&self) -> String {
        format!("127.0.0.1:{}", self.http.number())
    }

    /// The hub's port.
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// The program with `who`'s home, ready to be given arguments.
    pub fn command(&self, who: &str) -> Command {
        let mut words = self.wrapped.get(who).into_iter().flatten().map(String::as_str).chain([PROGRAM]);
        let mut command = Command::new(words.next().expect("the program is the last word"));
        home::forget_users(&mut command);
        command.args(words).arg("--home").arg(self.path(who)).env("NO_COLOR", "1").stdin(Stdio::null());
        command
    }

    /// Runs the program to its end.
    pub fn run(&self, who: &str, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Output {
        self.command(who).args(args).output().unwrap()
    }

    /// Runs the program, which must succeed, and returns what it printed.
    pub fn ask(&self, who: &str, args: &[&str]) -> String {
        let output = self.run(who, args);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{who}: {args:?} ended with {}: {stderr}", output.status);
        String::from_utf8(output.stdout).unwrap()
    }

    fn start(&mut self, name: &str, mut command: Command) {
        let log = File::options().create(true).append(true).open(self.path(&format!("{name}.log"))).unwrap();
        let child = command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        assert!(self.running.insert(name.into(), child).is_none(), "{name} already runs");
    }

    /// Starts the hub and waits until it listens.
    pub fn start_hub(&mut self) {
        let listen = format!("{}:{}", self.hub_host, self.port());
        let mut command = self.command("hub");
        command.args(["hub", "--listen", &listen, "--announce", &listen, "--http", &self.http()]).args(&self.hub_args);
        self.start("hub", command);
        let (socket, log) = (self.path("hub").join("hub/admin.sock"), self.path("hub.log"));
        let hub = self.running.get_mut("hub").unwrap();
        until("the hub listens", || {
            if let Some(status) = hub.try_wait().unwrap() {
                panic!("the hub ended with {status}:\n{}", fs::read_to_string(&log).unwrap_or_default());
            }
            UnixStream::connect(&socket).is_ok()
        });
    }

    /// Makes a device.
    pub fn join(&self, name: &str) {
        let answer: serde_json::Value = serde_json::from_str(&self.ask("hub", &["--json", "invite", name])).unwrap();
        self.ask(name, &["join", answer["ticket"].as_str().unwrap()]);
    }

    /// Starts a device's agent; it is online some time later.
    pub fn start_agent(&mut self, name: &str) {
        let mut command = self.command(name);
        command.arg("agent").args(&self.agent_args);
        self.start(name, command);
    }

    /// Waits until the hub calls the device online.
    pub fn until_online(&self, name: &str) {
        until(&format!("{name} is online"), || self.run(name, ["who", name]).status.success());
    }

    /// The process id of the hub or an agent.
    pub fn pid(&self, name: &str) -> u32 {
        self.running[name].id()
    }

    /// Sends a signal to a process that we started.
    pub fn signal(&self, name: &str, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_raw(self.pid(name) as i32).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// SIGKILL, and waits until it is gone.
    pub fn kill(&mut self, name: &str) {
        let mut child = self.running.remove(name).unwrap();
        child.kill().unwrap();
        let status = child.wait().unwrap();
        assert_eq!(status.signal(), Some(9), "{name} had ended by itself: {status}; see {}", self.log(name));
    }

    /// SIGTERM; returns how it ended.
    pub fn terminate(&mut self, name: &str) -> ExitStatus {
        self.signal(name, rustix::process::Signal::TERM);
        let mut child = self.running.remove(name).unwrap();
        until(&format!("{name} ends"), || child.try_wait().unwrap().is_some());
        child.wait().unwrap()
    }

    /// How a process ended by itself, if it has.
    pub fn ended(&mut self, name: &str) -> Option<ExitStatus> {
        self.running.get_mut(name).and_then(|child| child.try_wait().unwrap())
    }

    /// What a process logged.
    pub fn log(&self, name: &str) -> String {
        fs::read_to_string(self.path(&format!("{name}.log"))).unwrap_or_default()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        for (name, child) in &mut self.running {
            let _ = child.kill();
            let _ = child.wait();
            if std::thread::panicking() {
                let log = self.dir.path().join(format!("{name}.log"));
                let text = fs::read_to_string(log).unwrap_or_default();
                let from = text.len().saturating_sub(3_000);
                eprintln!("--- the end of {name}'s log\n{}", text.get(from..).unwrap_or(&text));
            }
        }
    }
}

/// A script that a rule runs: an executable file.
pub fn script(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}
