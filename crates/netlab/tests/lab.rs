//! The emulated link as programs meet it. What a busy machine could break is asserted on one side only (never faster, never
//! earlier, never more) or in the best of a few tries.

use netlab::{FAR, Lab, NEAR, PREFIX, check, remove_stale};
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};
use towline_sim::{Profile, Rng};

/// One lab at a time: two would disturb each other's times.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// A lab with a link, or `None` and a word where this machine cannot.
fn lab(link: &str) -> Option<(Lab, Profile)> {
    let profile: Profile = link.parse().unwrap();
    match Lab::build([profile.conditions(); 2], 1) {
        Ok(lab) => Some((lab, profile)),
        Err(why) => {
            println!("skipped, {why}");
            None
        }
    }
}

#[test]
fn kernel_tcp_crosses_the_link_whole_and_no_faster_than_it_carries() {
    let _alone = alone();
    let Some((lab, profile)) = lab("rate=40Mbit,rtt=20ms,loss=0.1%") else { return };
    for congestion in ["cubic", "bbr"] {
        let listener = lab.far().enter(|| TcpListener::bind((FAR, 0))).unwrap();
        let said = Rng::new(1).bytes(3_000_000);
        let begun = Instant::now();
        let address = listener.local_addr().unwrap();
        let mut near = lab.near().enter(|| TcpStream::connect(address)).unwrap();
        if let Err(why) = rustix::net::sockopt::set_tcp_congestion(&near, congestion) {
            println!("skipped for {congestion}, which this kernel has not: {why}");
            continue;
        }
        let (mut far, _) = listener.accept().unwrap();
        let heard = std::thread::scope(|scope| {
            scope.spawn(|| {
                near.write_all(&said).unwrap();
                near.shutdown(std::net::Shutdown::Write).unwrap();
            });
            let mut heard = Vec::new();
            far.read_to_end(&mut heard).unwrap();
            heard
        });
        let took = begun.elapsed().as_secs_f64();
        assert!(heard == said, "{congestion}: another content");
        let megabits = said.len() as f64 * 8.0 / took / 1e6;
        assert!(megabits < profile.rate_bits_per_second as f64 / 1e6, "{congestion}: {megabits} Mbit/s");
        println!("{congestion}: {megabits:.1} of 40 Mbit/s");
    }
}

#[test]
fn no_packet_arrives_before_its_time_and_every_one_is_accounted_for() {
    let _alone = alone();
    let Some((lab, profile)) = lab("rate=20Mbit,rtt=30ms,loss=5%") else { return };
    let near = lab.near().enter(|| UdpSocket::bind((NEAR, 0))).unwrap();
    let far = lab.far().enter(|| UdpSocket::bind((FAR, 0))).unwrap();
    far.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    let (epoch, to) = (Instant::now(), far.local_addr().unwrap());
    let mut arrived = 0;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..2_000 {
                near.send_to(&(epoch.elapsed().as_nanos() as u64).to_le_bytes(), to).unwrap();
                std::thread::sleep(Duration::from_micros(300));
            }
        });
        let mut packet = [0; 64];
        while let Ok(size) = far.recv(&mut packet) {
            let sent = u64::from_le_bytes(packet[..size].try_into().unwrap());
            let took = epoch.elapsed().as_nanos() as u64 - sent;
            assert!(took >= profile.round_trip / 2, "after {took} ns");
            arrived += 1;
        }
    });
    let [there, back] = lab.snapshots();
    assert_eq!((there.counts.offered, there.counts.delivered), (2_000, arrived));
    assert_eq!(there.counts.lost, 2_000 - arrived);
    assert!((40..180).contains(&there.counts.lost), "{} of 2000", there.counts.lost);
    assert_eq!(back.counts.offered, 0, "nobody spoke there");
    assert_eq!(lab.overrun(), [0, 0]);
}

#[test]
fn a_packet_larger_than_what_passes_vanishes_without_a_word() {
    let _alone = alone();
    let Some((lab, profile)) = lab("rate=20Mbit,rtt=2ms") else { return };
    let shrunk = towline_sim::Conditions { largest_packet: 1_280, ..profile.conditions() };
    lab.set_conditions([shrunk; 2]);
    let near = lab.near().enter(|| UdpSocket::bind((NEAR, 0))).unwrap();
    let far = lab.far().enter(|| UdpSocket::bind((FAR, 0))).unwrap();
    far.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    for size in [1_253, 1_252] {
        near.send_to(&vec![0; size], far.local_addr().unwrap()).unwrap();
    }
    assert_eq!(far.recv(&mut [0; 2_000]).unwrap(), 1_252, "with the headers of IP and UDP exactly the bound");
    assert_eq!(lab.snapshots()[0].counts.too_large, 1);
}

#[test]
fn a_check_finds_nothing_off_where_the_link_is_what_was_asked() {
    let _alone = alone();
    let Some((lab, profile)) = lab("rate=20Mbit,rtt=20ms,loss=2%") else { return };
    let rows = check::check(&lab, &profile).unwrap();
    assert!(rows.iter().all(|row| row.ok), "{rows:#?}");
}

#[test]
fn a_check_finds_a_link_that_is_slower_longer_and_loses_more_than_was_asked() {
    let _alone = alone();
    let Some((lab, _)) = lab("rate=19.5Mbit,rtt=24ms,loss=4%,queue=40kB") else { return };
    let asked: Profile = "rate=20Mbit,rtt=20ms,loss=2%".parse().unwrap();
    let rows = check::measure(&lab, &asked).unwrap();
    let ok = |what: &str| rows.iter().find(|row| row.what == what).map(|row| row.ok);
    for what in ["round trip, median", "rate", "one way through a full queue", "loss"] {
        assert_eq!(ok(what), Some(false), "{what}: {rows:#?}");
    }
}

fn netlab(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_netlab"));
    command.args(arguments);
    command
}

/// The names of a process's namespaces.
fn names_of(process: u32) -> Vec<String> {
    let own = format!("{PREFIX}{process:x}-");
    let entries = std::fs::read_dir("/run/netns").into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter(|name| name.starts_with(&own)).collect()
}

#[test]
fn a_command_runs_on_the_near_side_knows_the_far_one_and_its_code_is_handed_on() {
    let _alone = alone();
    if lab("rate=10Mbit,rtt=2ms").is_none() {
        return;
    }
    let script =
        "ip -br addr; ip netns exec $NETLAB_FAR ip -br addr; echo $NETLAB_NEAR_ADDRESS $NETLAB_FAR_ADDRESS; exit 7";
    let output = netlab(&["run", "rate=10Mbit,rtt=2ms", "--untimed", "--", "sh", "-c", script]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(7), "{said} {}", String::from_utf8_lossy(&output.stderr));
    let (near, far) = (said.find("192.0.2.1/24").unwrap(), said.find("192.0.2.2/24").unwrap());
    assert!(near < far && said.contains("192.0.2.1 192.0.2.2"), "{said}");
}

/// A run whose command has begun, and the command's process.
fn running() -> (Child, Pid) {
    let script = "echo $$; exec sleep 600";
    let mut child = netlab(&["run", "rate=10Mbit,rtt=2ms", "--untimed", "--", "sh", "-c", script])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    (child, Pid::from_raw(line.trim().parse().unwrap()).unwrap())
}

/// Waits until nothing of a process is left; nothing but its owner's mistake lets that last.
fn until_gone(process: Pid) {
    let begun = Instant::now();
    while std::fs::exists(format!("/proc/{process}")).unwrap() {
        assert!(begun.elapsed() < Duration::from_secs(60), "process {process} goes on");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn an_interrupted_run_leaves_no_namespace_and_a_killed_one_is_swept_by_the_next() {
    let _alone = alone();
    let Some((other, _)) = lab("rate=10Mbit,rtt=2ms") else { return };
    for (how, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let (mut child, command) = running();
        assert_eq!(names_of(child.id()).len(), 2);
        kill_process(Pid::from_child(&child), how).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(code));
        assert_eq!(names_of(child.id()), Vec::<String>::new());
        until_gone(command);
    }
    let (mut child, command) = running();
    kill_process(Pid::from_child(&child), Signal::KILL).unwrap();
    child.wait().unwrap();
    kill_process(command, Signal::KILL).unwrap();
    until_gone(command);
    assert_eq!(names_of(child.id()).len(), 2, "nobody could clean up");
    assert_eq!(remove_stale(), 2);
    assert_eq!((names_of(child.id()).len(), names_of(std::process::id()).len()), (0, 2), "only what is nobody's");
    drop(other);
}

#[test]
fn a_link_faster_than_the_emulator_is_refused_and_the_limit_is_named() {
    let _alone = alone();
    if lab("rate=10Mbit,rtt=2ms").is_none() {
        return;
    }
    let output = netlab(&["run", "rate=200Gbit,rtt=2ms", "--", "echo", "ran"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(3), &b""[..]), "{said}");
    assert!(said.contains("refused") && said.contains("Mbit/s only"), "{said}");
    println!("{said}");
}

#[test]
fn without_root_it_says_so_and_ends_with_77() {
    let output = netlab(&["run", "P1", "--", "true"]).uid(65_534).gid(65_534).output();
    match output {
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr);
            assert_eq!((output.status.code(), said.contains("root")), (Some(77), true), "{said}");
        }
        Err(why) => println!("skipped, the program cannot be run by another user here: {why}"),
    }
}
