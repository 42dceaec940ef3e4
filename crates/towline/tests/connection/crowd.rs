//! One reader that stalls among many, over direct calls: what the answering process holds for it in resident memory, under
//! a cap of the kernel's where this machine lets us set one, and what the others notice.
//!
//! A hundred connections for seconds; with `TOWLINE_TEST_LONG` a thousand for ten minutes, and only then the others' times
//! are asserted.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;
use towline::call::direct::{Asked, CallId, DirectCaller, NoAnswer, Packet, PacketCodec, Part, QUEUED_BYTES, exchange};
use towline::call::{Code, Status};
use towline::codec::{Content, LengthPrefixed, Prost};
use towline::connection::Connection;
use towline::listen::{ListenConfig, Listener};

/// Set in the process that answers.
const ANSWERING: &str = "TOWLINE_TEST_CROWD";

/// How long anything may take before the test fails instead of hanging.
const PATIENCE: Duration = Duration::from_secs(60);

/// Calls by which the stalled peer asks for more than it takes: their credit together, 8 MiB, is more than the formula and
/// the kernel's buffers hold, so that it is the queue's bound that stops them.
const FLOODS: u64 = 128;

const ITEM_BYTES: usize = 1_000;

/// What a connection of calls holds at most for a peer that reads nothing, in bytes, as the page of `call::direct` says it:
/// packets that wait, as many taken to be written next, what is encoded, and the handlers.
const FORMULA: u64 = 2 * QUEUED_BYTES + 64 * 1024 + FLOODS * 5 * 1024;

type Codec = PacketCodec<LengthPrefixed, Prost<String>>;
type Caller = DirectCaller<String, String>;

fn codec() -> Codec {
    Codec::new(LengthPrefixed::u32(65_536))
}

#[tokio::test]
async fn p10_one_stalled_reader_among_many_costs_no_more_resident_memory_than_the_formula() {
    let name = "crowd::p10_one_stalled_reader_among_many_costs_no_more_resident_memory_than_the_formula";
    if std::env::var_os(ANSWERING).is_some() {
        return answer_all().await;
    }
    let long = std::env::var_os("TOWLINE_TEST_LONG").is_some();
    let (connections, seconds) = if long { (1_000, 600) } else { (100, 4) };
    let group = Group::new();
    let mut server = start(name, group.as_ref());
    let pid = server.id().unwrap();
    let address = address_of(&mut server).await;

    let mut callers = Vec::new();
    for _ in 1..connections {
        callers.push(connect(&address).await);
    }
    let calm = crowd(&callers, pid, Duration::from_secs(seconds.min(60))).await;
    let capped = group.as_ref().is_some_and(|group| group.cap(FORMULA + FORMULA / 10));
    if !capped {
        println!("{name}: the kernel's cap is skipped, no memory group can be made here");
    }

    let stalled = stall(&address).await;
    let produced = still(&callers[0]).await;
    let beside = crowd(&callers, pid, Duration::from_secs(seconds)).await;
    assert_eq!(produced, still(&callers[0]).await, "the handlers of the stalled reader stand still");

    let grown = beside.resident.saturating_sub(calm.resident);
    println!(
        "p10: reached {grown} resident bytes for a stalled reader of {FORMULA} by the formula, {connections} connections, \
         {seconds} s{}, {produced} items produced; others' p99 {:?} before, {:?} beside it",
        if capped { " under the kernel's cap" } else { "" },
        calm.p99,
        beside.p99,
    );
    assert!(grown <= FORMULA + FORMULA / 10, "{grown} bytes more");
    assert!(!long || beside.p99 <= 2 * calm.p99, "{:?} and {:?}", calm.p99, beside.p99);
    drop((stalled, server));
}

/// What was seen while a crowd called.
struct Seen {
    /// The most resident memory of the answering process, in bytes.
    resident: u64,
    p99: Duration,
}

/// Each calls a thousandth of a second after another, all the time; nobody is refused.
async fn crowd(callers: &[Caller], pid: u32, time: Duration) -> Seen {
    let end = Instant::now() + time;
    let pace = Duration::from_millis(callers.len() as u64);
    let mut calling = JoinSet::new();
    for (at, caller) in callers.iter().cloned().enumerate() {
        calling.spawn(async move {
            tokio::time::sleep(Duration::from_millis(at as u64)).await;
            let mut took = Vec::new();
            while Instant::now() < end {
                let began = Instant::now();
                assert_eq!(caller.call_within("hi".into(), PATIENCE).await.unwrap(), "hi");
                took.push(began.elapsed());
                tokio::time::sleep(pace).await;
            }
            took
        });
    }
    let mut resident = 0;
    while Instant::now() < end {
        resident = resident.max(resident_bytes(pid));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let mut took: Vec<Duration> = calling.join_all().await.concat();
    took.sort_unstable();
    Seen { resident, p99: took[took.len() * 99 / 100] }
}

/// How many items were produced for the stalled reader, once there come no more.
async fn still(caller: &Caller) -> usize {
    let mut before = 0;
    loop {
        let produced = caller.call_within("produced".into(), PATIENCE).await.unwrap().parse().unwrap();
        if produced > 0 && produced == before {
            return produced;
        }
        before = produced;
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

/// The kernel's exact count; that of `status` may be late by hundreds of pages.
fn resident_bytes(pid: u32) -> u64 {
    let rollup = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
    let line = rollup.lines().find_map(|line| line.strip_prefix("Rss:")).unwrap();
    1_024 * line.trim().trim_end_matches(" kB").parse::<u64>().unwrap()
}

async fn connect(address: &str) -> Caller {
    let stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let (caller, calls) = exchange(true, Default::default(), NoAnswer);
    let (_, connection) = Connection::new(stream, codec(), calls, Default::default());
    tokio::spawn(connection);
    caller
}

/// Asks for floods, and reads nothing of them.
async fn stall(address: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4_096).unwrap();
    let mut stream = socket.connect(address.parse().unwrap()).await.unwrap();
    for number in 0..FLOODS {
        let part = Part::Begin { item: "flood".to_owned(), ends: true, time_left: None };
        let mut packet = Vec::new();
        Packet { call: CallId(2 * number), part }.encode(&mut packet, <Prost<String>>::write).unwrap();
        stream.write_all(&(packet.len() as u32).to_be_bytes()).await.unwrap();
        stream.write_all(&packet).await.unwrap();
    }
    stream
}

/// This test again, as the process that answers; it ends with its input.
fn start(name: &str, group: Option<&Group>) -> tokio::process::Child {
    let join = group.map_or(String::new(), |group| format!("echo $$ > {}/cgroup.procs && ", group.0.display()));
    let mut command = Command::new("sh");
    command.args(["-c", &(join + "exec \"$@\""), "sh"]).arg(std::env::current_exe().unwrap());
    command.args(["--exact", name, "--nocapture"]).env(ANSWERING, "1");
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    tokio::process::Command::from(command).kill_on_drop(true).spawn().unwrap()
}

async fn address_of(server: &mut tokio::process::Child) -> String {
    let mut lines = BufReader::new(server.stdout.as_mut().unwrap()).lines();
    loop {
        let line = timeout(PATIENCE, lines.next_line()).await.unwrap().unwrap().expect("it listens");
        if let Some((_, address)) = line.split_once("listening on ") {
            return address.to_owned();
        }
    }
}

async fn answer_all() {
    let config = ListenConfig::default();
    let mut listener = Listener::bind("127.0.0.1:0", config).await.unwrap();
    println!("listening on {}", listener.local_addr().unwrap());
    let produced = Arc::new(AtomicUsize::new(0));
    let mut stdin = tokio::io::stdin();
    let mut end = [0];
    loop {
        let incoming = tokio::select! {
            incoming = listener.accept() => incoming,
            _ = stdin.read(&mut end) => return,
        };
        let produced = produced.clone();
        let (_, calls) = exchange(false, Default::default(), move |call| answer(call, produced.clone()));
        tokio::spawn(Connection::answering(incoming.plain(), codec(), calls, Default::default()));
    }
}

async fn answer(mut call: Asked<String, String>, produced: Arc<AtomicUsize>) -> Result<Option<String>, Status> {
    match call.item.as_str() {
        "hi" => Ok(Some(call.item)),
        "produced" => Ok(Some(produced.load(Ordering::SeqCst).to_string())),
        "flood" => loop {
            call.replies.send("x".repeat(ITEM_BYTES)).await?;
            produced.fetch_add(1, Ordering::SeqCst);
        },
        _ => Err(Code::InvalidArgument.into()),
    }
}

/// A group of processes whose memory the kernel caps, gone with the test.
struct Group(PathBuf);

impl Group {
    /// `None` where this process may not make one, or it would cap nothing.
    fn new() -> Option<Self> {
        let name = format!("towline-test-{}", std::process::id());
        for root in ["/sys/fs/cgroup/memory", "/sys/fs/cgroup"] {
            let group = Path::new(root).join(&name);
            if std::fs::create_dir(&group).is_ok() {
                let group = Self(group);
                if group.interface().is_some() {
                    return Some(group);
                }
            }
        }
        None
    }

    /// Where usage and cap stand, and what is counted besides: the second version of the interface counts the kernel's
    /// buffers for sockets, the first does not.
    fn interface(&self) -> Option<(PathBuf, PathBuf, u64)> {
        let names = [("memory.current", "memory.max", 8 << 20), ("memory.usage_in_bytes", "memory.limit_in_bytes", 0)];
        let files = names.map(|(usage, cap, besides)| (self.0.join(usage), self.0.join(cap), besides));
        files.into_iter().find(|(_, cap, _)| cap.exists())
    }

    /// Allows so many bytes more than are held now, and whether the kernel agreed.
    fn cap(&self, more: u64) -> bool {
        let Some((usage, cap, besides)) = self.interface() else { return false };
        let held: u64 = std::fs::read_to_string(usage).unwrap().trim().parse().unwrap();
        std::fs::write(cap, (held + more + besides).to_string()).is_ok()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // The kernel takes a moment to let go of a process that has ended; a group without any costs nothing.
        for _ in 0..100 {
            if std::fs::remove_dir(&self.0).is_ok() {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}
