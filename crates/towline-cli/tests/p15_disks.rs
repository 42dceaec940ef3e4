//! Disks that fail and fill up under the real programs: nothing acknowledged is lost, and all goes on by itself.
//!
//! In each case every write or sync of each of the hub's threads fails from the n-th on, until space is back.

mod support;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use support::{World, until};

/// Set to take every ordinal from the first to this one.
const LONG: &str = "TOWLINE_TEST_LONG";
const LAST_ORDINAL: u32 = 40;
/// More sends than any of these ordinals takes to fail.
const MOST_SENDS: usize = 100;

/// A debugger that makes a process's system calls fail, until it is dropped: then the process goes on without it.
struct Failing(Child);

impl Failing {
    fn begin(pid: u32, call: &str, error: &str, ordinal: u32) -> Self {
        let mut strace = Command::new("strace");
        strace.args(["-f", "-q", "-o", "/dev/null", "-p", &pid.to_string(), "-e", &format!("trace={call}")]);
        strace.args(["-e", &format!("inject={call}:error={error}:when={ordinal}+")]);
        let failing =
            Self(strace.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("strace was there before"));
        until("every thread is traced", || traced(pid).iter().all(|&by| by));
        failing
    }
}

impl Drop for Failing {
    fn drop(&mut self) {
        // On SIGTERM it lets go of the process; if it is killed instead, the process may be left stopped.
        let pid = rustix::process::Pid::from_raw(self.0.id() as i32).expect("a process");
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let _ = self.0.wait();
    }
}

/// Whether a debugger has it, for each thread of a process.
fn traced(pid: u32) -> Vec<bool> {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).expect("the hub runs");
    let status = |thread: std::fs::DirEntry| std::fs::read_to_string(thread.path().join("status")).unwrap_or_default();
    threads.flatten().map(|thread| !status(thread).contains("TracerPid:\t0\n")).collect()
}

/// Why this machine cannot make system calls fail.
fn cannot_inject() -> Option<&'static str> {
    let tried = Command::new("strace")
        .args(["-q", "-o", "/dev/null", "-e", "inject=fdatasync:error=EIO", "true"])
        .stderr(Stdio::null())
        .status();
    if tried.is_ok_and(|status| status.success()) { None } else { Some("strace is missing or may not trace here") }
}

fn ready(world: &World) -> String {
    let ask = || -> std::io::Result<String> {
        let mut socket = TcpStream::connect(world.http())?;
        socket.set_read_timeout(Some(Duration::from_secs(10)))?;
        socket.write_all(b"GET /readyz HTTP/1.1\r\nhost: hub\r\nconnection: close\r\n\r\n")?;
        let mut page = String::new();
        socket.read_to_string(&mut page).map(|_| page)
    };
    ask().unwrap_or_default()
}

/// A send on its way, and the file that is accepted if it ends with 0.
struct Sent {
    name: String,
    child: Child,
}

impl Sent {
    fn begin(world: &World, name: String) -> Self {
        let mut command = world.command("office");
        command.args(["send", "--text", &name, "--name", &name, "--to", "shop", "--deadline", "10m"]);
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("starts");
        Self { name, child }
    }

    fn accepted(mut self) -> Option<String> {
        until("the send ends", || self.child.try_wait().expect("ours").is_some());
        self.child.wait().expect("ours").success().then_some(self.name)
    }
}

fn inbox(world: &World, name: &str) -> PathBuf {
    world.device("shop").join("inbox").join(name)
}

/// One failure from its beginning to the hub's recovery; returns what was accepted, and how long the recovery took.
fn fail_and_mend(world: &World, call: &str, error: &str, ordinal: u32) -> (Vec<String>, Duration) {
    let failing = Failing::begin(world.pid("hub"), call, error, ordinal);
    let mut accepted = Vec::new();
    let mut sends = 0;
    let waiting = loop {
        let mut sent = Sent::begin(world, format!("{call}-{ordinal}-{sends}.txt"));
        sends += 1;
        assert!(sends < MOST_SENDS, "{call} fails, and the hub does not say so");
        until("the send ends or the hub says that it cannot store", || {
            sent.child.try_wait().expect("ours").is_some() || ready(world).contains("not ready: store")
        });
        if ready(world).contains("not ready: store") {
            break sent;
        }
        accepted.extend(sent.accepted());
    };
    drop(failing);
    let mended = Instant::now();
    until("the hub serves again by itself", || ready(world).contains("200 OK"));
    let took = mended.elapsed();
    accepted.extend(waiting.accepted());
    let after = Sent::begin(world, format!("{call}-{ordinal}-after.txt")).accepted();
    accepted.push(after.expect("a hub that is ready accepts"));
    (accepted, took)
}

fn failures_lose_nothing(call: &str, error: &str, sample: &[u32]) {
    if let Some(why) = cannot_inject() {
        return println!("p15: skipped, {why}");
    }
    let mut world = World::with_devices(&["office", "shop"], |_, _| String::new());
    world.until_online("shop");
    let every: Vec<u32> = (1..=LAST_ORDINAL).collect();
    let ordinals = if std::env::var_os(LONG).is_some() { &every } else { sample };
    let (mut accepted, mut longest) = (Vec::new(), Duration::ZERO);
    for &ordinal in ordinals {
        let (names, took) = fail_and_mend(&world, call, error, ordinal);
        accepted.extend(names);
        longest = longest.max(took);
    }
    // What it said it must have: it is killed, so that nothing but its disk can tell.
    world.kill("hub");
    world.start_hub();
    for name in &accepted {
        until(&format!("{name} is in the inbox"), || inbox(&world, name).exists());
    }
    assert!(!world.log("hub").contains("the mailbox was damaged"), "a failing disk is no damage");
    println!(
        "p15: reached 0 of {} accepted lost, {call} failing with {error} from {} ordinals on, serving again {} ms after",
        accepted.len(),
        ordinals.len(),
        longest.as_millis()
    );
}

#[test]
fn p15_a_hub_whose_syncs_fail_loses_nothing_and_recovers_alone() {
    failures_lose_nothing("fdatasync", "EIO", &[1, 2, 4, 9]);
}

#[test]
fn p15_a_hub_whose_writes_find_no_space_loses_nothing_and_recovers_alone() {
    failures_lose_nothing("pwrite64", "ENOSPC", &[1, 7, 40, 90]);
}

/// A small disk of its own; taken away when dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// None where this machine may not mount.
    fn mount(at: PathBuf, size: &str) -> Option<Self> {
        std::fs::create_dir_all(&at).expect("a folder");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={size}"), "towline-test"]).arg(&at);
        let done = mount.stderr(Stdio::null()).status().is_ok_and(|status| status.success());
        done.then_some(Self(at))
    }

    /// Fills it to the last block and gives `room` bytes of that back; returns the file that fills it.
    fn fill_but(&self, room: u64) -> PathBuf {
        let path = self.0.join(format!("filler-{room}"));
        let mut file = std::fs::File::create(&path).expect("room for a name");
        let full = std::iter::repeat_with(|| file.write(&[1; 4_096])).find_map(Result::err).expect("ends");
        assert_eq!(full.kind(), std::io::ErrorKind::StorageFull);
        let length = file.metadata().expect("its length").len();
        file.set_len(length.saturating_sub(room)).expect("cut");
        path
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: the agent on it ends later.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// The exit code, and everything it printed.
fn ended(output: &Output) -> (Option<i32>, String) {
    let told = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.code(), told)
}

#[test]
fn p15_a_device_whose_disk_is_full_says_so_and_takes_messages_again_when_there_is_space() {
    let mut world = World::new();
    let Some(disk) = SmallDisk::mount(world.path("shop"), "24m") else {
        return println!("p15: skipped, file systems cannot be mounted here (needs root)");
    };
    world.start_hub();
    world.join("office");
    world.join("shop");
    world.start_agent("shop");
    world.until_online("shop");
    let body = world.path("large.bin");
    std::fs::write(&body, vec![7; 2 << 20]).expect("written");
    let send = |deadline: &str, name: &str| {
        let body = body.to_str().expect("text");
        world.run("office", ["send", body, "--name", name, "--to", "shop", "--deadline", deadline, "--wait"])
    };
    assert!(send("1m", "before.bin").status.success());

    // Room for the journal and not for the body: the device says why.
    let filler = disk.fill_but(512 << 10);
    let (exit, told) = ended(&send("1m", "large.bin"));
    assert_eq!(exit, Some(11), "{told}");
    assert!(told.contains("device-storage"), "{told}");
    assert_eq!(world.run("office", ["who", "shop"]).status.code(), Some(0), "the device stays online");
    println!("p15: reached, with too little space at the device: {}", told.trim());

    // Not a byte more: the device can say nothing, and the hub says it at the deadline.
    let rest = disk.fill_but(0);
    let (exit, told) = ended(&send("8s", "full.bin"));
    assert_eq!(exit, Some(7), "{told}");
    println!("p15: reached, with no space at the device: {}", told.trim());
    assert!(!inbox(&world, "large.bin").exists() && !inbox(&world, "full.bin").exists());

    std::fs::remove_file(filler).and_then(|()| std::fs::remove_file(rest)).expect("there");
    let after = send("1m", "after.bin");
    assert!(after.status.success(), "{}", String::from_utf8_lossy(&after.stderr));
    assert_eq!(std::fs::metadata(inbox(&world, "after.bin")).expect("there").len(), 2 << 20);
}
