use super::*;
use std::io::{BufRead, BufReader, Write as _};
use std::process::{Child, Command, Stdio};

/// Names the mailbox for the child; without it the child's part does nothing.
const CHILD: &str = "TOWLINE_TEST_MAILBOX";
const KILLS: u64 = 60;

/// The child: writes without end, and prints each step's number once the writer has reported it.
#[test]
fn child_that_writes_until_killed() {
    let Some(path) = std::env::var_os(CHILD) else { return };
    let mailbox = Mailbox::open(Path::new(&path)).expect("opens");
    assert_eq!(mailbox.damage(), None, "a kill damages nothing");
    let first = mailbox.reader().expect("reads").all(Table::Message).expect("reads").len() as u64;
    let (reporter, reports) = mpsc::channel();
    let writer = Writer::start(mailbox.backend().expect("writes"), move |report| drop(reporter.send(report)), |_| ());
    let writer = writer.expect("starts");
    let (mut next, mut out) = (first, std::io::stdout());
    loop {
        // Ever more at once, so that kills fall into groups of every size.
        for _ in 0..=(next % 7) {
            let key = next.to_be_bytes();
            let record = vec![next as u8; 50 + (next as usize * 37) % 3_000];
            writer.write(next, vec![put(Table::Message, &key, &record), put(Table::Phase, &key, &key)]).expect("taken");
            next += 1;
        }
        while let Ok(Report::Committed { step, .. }) = reports.recv() {
            writeln!(out, "ack {step}").and_then(|()| out.flush()).expect("printed");
            if step + 1 == next {
                break;
            }
        }
    }
}

fn spawn(path: &Path) -> Child {
    let mut command = Command::new(std::env::current_exe().expect("this test"));
    command.args(["store::tests::kill::child_that_writes_until_killed", "--exact", "--nocapture", "--test-threads=1"]);
    command.env(CHILD, path).stdout(Stdio::piped()).stderr(Stdio::inherit());
    command.spawn().expect("starts")
}

#[test]
fn p01_every_acknowledged_record_outlives_sixty_kills() {
    let (_folder, path) = folder();
    let (mut acknowledged, mut acks) = (None, 0u64);
    for kill in 0..KILLS {
        let mut child = spawn(&path);
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        // Each child lives for a different number of acknowledgements: the kill falls at a different place.
        let quota = 1 + (kill * 7_919) % 23;
        let mut seen = 0;
        for line in lines.by_ref() {
            if let Some(step) = line.expect("text").rsplit("ack ").next().and_then(|text| text.parse::<u64>().ok()) {
                (acknowledged, seen, acks) = (Some(step), seen + 1, acks + 1);
                if seen == quota {
                    break;
                }
            }
        }
        child.kill().expect("killed");
        // What it had printed before it died counts too.
        for line in lines.map_while(Result::ok) {
            if let Some(step) = line.rsplit("ack ").next().and_then(|text| text.parse::<u64>().ok()) {
                acknowledged = Some(step);
            }
        }
        child.wait().expect("gone");
        let last = acknowledged.expect("at least one");
        let mailbox = Mailbox::open(&path).expect("opens");
        assert_eq!(mailbox.damage(), None);
        let reader = mailbox.reader().expect("reads");
        let records = reader.all(Table::Message).expect("reads");
        assert!(records.len() as u64 > last, "kill {kill}: acknowledged up to {last}, {} are there", records.len());
        for (number, record) in (0u64..).zip(&records) {
            assert_eq!(record.key, number.to_be_bytes(), "no gaps: a group is there whole or not at all");
            assert!(reader.has(Table::Phase, &record.key).expect("reads"), "both records of a step");
        }
    }
    println!(
        "p01: reached 0 lost of {} acknowledged steps ({acks} acknowledgements) in {KILLS} kills",
        acknowledged.unwrap_or(0) + 1
    );
}
