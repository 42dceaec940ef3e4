//! The guide's first page, followed literally on two machines: its commands, its rule, what it says will be seen.

mod support;

use std::collections::VecDeque;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use support::net::{self, Net};
use support::{PROGRAM, script, until};

const PAGE: &str = include_str!("../../../docs/guide/01-first-file.md");
/// The page's printer and the page's address of the office.
const PRINTER: &str = "/usr/bin/lp";
const OFFICE: &str = "office.example.net";

/// One block of the page: its language, its lines.
#[derive(Debug)]
struct Block {
    language: String,
    lines: Vec<String>,
}

/// The page's blocks in their order, taken one after the other.
struct Guide(VecDeque<Block>);

impl Guide {
    fn open() -> Self {
        let mut blocks = VecDeque::new();
        let mut lines = PAGE.lines();
        while let Some(fence) = lines.find(|line| line.starts_with("```")) {
            let body = lines.by_ref().take_while(|line| !line.starts_with("```")).map(str::to_owned).collect();
            blocks.push_back(Block { language: fence.trim_start_matches('`').into(), lines: body });
        }
        Self(blocks)
    }

    fn next(&mut self, language: &str) -> Vec<String> {
        let block = self.0.pop_front().unwrap_or_else(|| panic!("the page has a {language} block less"));
        assert_eq!(block.language, language, "{block:?}");
        block.lines
    }

    /// The next block's commands, without remarks.
    fn commands(&mut self) -> Vec<String> {
        self.next("sh").iter().map(|line| line.split("  #").next().unwrap_or(line).trim().to_owned()).collect()
    }
}

/// A machine with a home of its own.
struct Machine {
    home: PathBuf,
    ahead: Vec<String>,
    path: String,
    running: Vec<Child>,
}

impl Machine {
    fn new(folder: &Path, name: &str, ahead: Vec<String>) -> Self {
        let (home, bin) = (folder.join(name), folder.join("bin"));
        fs::create_dir(&home).unwrap();
        let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
        Self { home, ahead, path, running: Vec::new() }
    }

    /// What a terminal on this machine makes of a line of the page.
    fn terminal(&self, line: &str) -> Command {
        let mut command = Command::new(&self.ahead[0]);
        // `exec` lets a signal reach the program and not its shell.
        command.args(&self.ahead[1..]).args(["sh", "-c", &format!("exec {}", line.replace(OFFICE, net::HUB))]);
        command
            .env_clear()
            .env("HOME", &self.home)
            .env("PATH", &self.path)
            .current_dir(&self.home)
            .stdin(Stdio::null());
        command
    }

    fn run(&self, line: &str) -> Output {
        self.terminal(line).output().unwrap()
    }

    /// Runs a line that must succeed; what it prints.
    fn ask(&self, line: &str) -> String {
        let output = self.run(line);
        assert!(output.status.success(), "{line}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Starts a line that goes on, and waits until it has printed as many lines as the page shows of it.
    fn start(&mut self, line: &str, shown: &[String]) {
        let log = self.home.join(format!("terminal-{}", self.running.len()));
        let file = File::create(&log).unwrap();
        self.running.push(self.terminal(line).stdout(file.try_clone().unwrap()).stderr(file).spawn().unwrap());
        until(&format!("{line} prints what the page shows"), || {
            sees(&self.plain(&fs::read_to_string(&log).unwrap()), shown)
        });
    }

    /// SIGKILL to what was started last.
    fn kill_last(&mut self) {
        let mut child = self.running.pop().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// What was printed here, as the page would print it.
    fn plain(&self, text: &str) -> String {
        let text = text.replace(&*self.home.to_string_lossy(), "/home/kitchen").replace(net::HUB, OFFICE);
        text.replace(&*self.home.parent().unwrap().join("lp").to_string_lossy(), PRINTER)
    }

    /// Runs a line and holds what it prints against the page and its exit code.
    fn shows(&self, line: &str, exit: i32, shown: &[String]) -> String {
        let output = self.run(line);
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(sees(&self.plain(&text), shown), "{line}: the page shows\n{}\nand there was\n{text}", shown.join("\n"));
        assert_eq!(output.status.code(), Some(exit), "{line}: {text}");
        text
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        for (number, child) in self.running.iter_mut().enumerate() {
            let _ = (child.kill(), child.wait());
            if std::thread::panicking() {
                let log = self.home.join(format!("terminal-{number}"));
                eprintln!("--- {}\n{}", log.display(), fs::read_to_string(&log).unwrap_or_default());
            }
        }
    }
}

/// Whether each of the page's lines stands in the text, in their order, up to what differs from run to run.
fn sees(text: &str, shown: &[String]) -> bool {
    let mut lines = text.lines().map(shape);
    shown.iter().map(|line| shape(line)).all(|wanted| lines.any(|line| line == wanted))
}

/// A line with names in place of ids, keys, tickets and times.
fn shape(line: &str) -> String {
    let lower = |word: &str| word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    let name = |word: &str| match word {
        id if id.len() == 28 && id.starts_with("m_") => "ID".to_owned(),
        ticket if ticket.starts_with("towline1") => "TICKET".to_owned(),
        key if key.len() == 52 && lower(key) => "KEY".to_owned(),
        time if time.len() >= 20 && time.ends_with('Z') && time.as_bytes()[10] == b'T' => "TIME".to_owned(),
        other => other.to_owned(),
    };
    let parts = |word: &str| word.split('/').map(name).collect::<Vec<_>>().join("/");
    line.split_whitespace().map(parts).collect::<Vec<_>>().join(" ")
}

/// The rows of the page's table: what is seen, and the exit code.
fn outcomes() -> Vec<(String, i32)> {
    let table = PAGE.split_once("| what you see |").unwrap().1;
    let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    let cells = |row: &str| row.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect::<Vec<_>>();
    rows.map(cells).map(|cells| (cells[0].trim_matches('`').to_owned(), cells[2].parse().unwrap())).collect()
}

/// Two machines with the program installed, and the script that stands in for the printer.
fn machines(folder: &Path, net: &Net) -> (Machine, Machine, PathBuf) {
    fs::create_dir(folder.join("bin")).unwrap();
    std::os::unix::fs::symlink(PROGRAM, folder.join("bin/towline")).unwrap();
    let printer = folder.join("lp");
    script(
        &printer,
        "#!/bin/sh\nprintf '%s\\n' \"$*\" >> \"$0.log\"\ncase \"$4\" in\n*/bad.pdf) echo 'paper jam'; exit 3;;\n\
         */slow.pdf) sleep 60;;\nesac\ncat \"$4\" >> \"$0.paper\"\n",
    );
    (Machine::new(folder, "office", net.at_hub()), Machine::new(folder, "kitchen", net.at_device()), printer)
}

#[test]
fn the_guides_first_page_leads_from_nothing_to_a_printed_file_and_a_sender_who_knows() {
    let net = match Net::build() {
        Ok(net) => net,
        Err(why) => return println!("skipped, {why}"),
    };
    let folder = tempfile::Builder::new().prefix("tl").tempdir().unwrap();
    let (mut office, mut kitchen, printer) = machines(folder.path(), &net);
    let mut guide = Guide::open();

    // 1. Install.
    let install = guide.next("sh");
    assert!(install[0].starts_with("cargo install --path crates/towline-cli"), "{install:?}");
    let (version, said) = install[1].split_once("  #").unwrap();
    assert_eq!(office.ask(version.trim()).trim(), said.trim());

    // 2. Hub and invitations.
    let [hub] = &guide.commands()[..] else { panic!("one command starts the hub") };
    office.start(hub, &guide.next("text"));
    let tickets: Vec<String> = guide.commands().iter().map(|invite| office.ask(invite)).collect();

    // 3. Join: the lines that were printed.
    let join = guide.commands();
    let joined = guide.next("text");
    for (machine, name, ticket) in [(&office, "office", &tickets[0]), (&kitchen, "kitchen", &tickets[1])] {
        let line = ticket.lines().find(|line| shape(line) == shape(&join[0])).expect("the page's command is printed");
        let joined: Vec<String> =
            joined.iter().map(|line| line.replace("as office;", &format!("as {name};"))).collect();
        machine.shows(line, 0, &joined);
    }

    // 4. The rule.
    let rule = guide.next("toml").join("\n");
    assert!(rule.contains(PRINTER), "{rule}");
    let shown = kitchen.ask("towline config show");
    let home = shown.lines().find_map(|line| line.strip_prefix("home = ")).expect("the page says that it is shown");
    fs::write(Path::new(home).join("device/agent.toml"), rule.replace(PRINTER, &printer.to_string_lossy())).unwrap();
    let commands = guide.commands();
    let [check, test, agent] = &commands[..] else { panic!("three commands: {commands:?}") };
    let mut shown = guide.next("text");
    let started = shown.pop().unwrap();
    kitchen.ask(check);
    kitchen.shows(test, 0, &shown);
    kitchen.start(agent, std::slice::from_ref(&started));
    until("the kitchen is online", || office.run("towline who kitchen").status.success());

    // 5. Send, and know.
    fs::write(office.home.join("menu.pdf"), "%PDF-1.4 menu\n").unwrap();
    let [send] = &guide.commands()[..] else { panic!("one command sends") };
    office.shows(send, 0, &guide.next("text"));
    assert_eq!(fs::read_to_string(folder.path().join("lp.paper")).unwrap(), "%PDF-1.4 menu\n");
    let log = fs::read_to_string(folder.path().join("lp.log")).unwrap();
    assert!(log.starts_with("-d counter -- ") && log.ends_with("/menu.pdf\n") && log.lines().count() == 1, "{log}");

    // What else may be seen.
    let table = outcomes();
    let seen = |word: &str| table.iter().find(|(seen, _)| seen.starts_with(word)).expect("a row").clone();
    let ends = |word: &str, file: &str, deadline: &str| {
        let (wanted, exit) = seen(word);
        fs::write(office.home.join(file), "%PDF-1.4 bad\n").unwrap();
        let line = send.replace("menu.pdf", file).replace("10m", deadline);
        let said = office.run(&line);
        let text = String::from_utf8_lossy(&said.stdout).into_owned();
        let told = text.lines().last().unwrap_or_default();
        assert!(shape(told).contains(&shape(&wanted)), "{line}: the page's table says {wanted}, there was {said:?}");
        assert_eq!(said.status.code(), Some(exit), "{line}: {said:?}");
        text
    };
    ends("handled: placed", "notes.txt", "10m");
    let failed = ends("failed", "bad.pdf", "10m");
    let id = failed.split_whitespace().find(|word| word.starts_with("m_")).unwrap();
    let status = guide.commands();
    let words: Vec<&str> = status[0].split(' ').collect();
    office.shows(&status[0].replace(words[2], id), seen("failed").1, &guide.next("text"));
    assert!(guide.0.is_empty(), "blocks that nobody tried: {:?}", guide.0);

    // An agent that dies in the middle of a run, and one that is not there.
    std::thread::scope(|scope| {
        let unclear = scope.spawn(|| ends("unclear", "slow.pdf", "10m"));
        until("the slow print has begun", || {
            fs::read_to_string(folder.path().join("lp.log")).unwrap().contains("slow.pdf")
        });
        kitchen.kill_last();
        kitchen.start(agent, std::slice::from_ref(&started));
        unclear.join().unwrap();
    });
    kitchen.kill_last();
    until("the kitchen is offline", || office.run("towline who kitchen").status.code() == Some(6));
    ends("expired", "late.pdf", "2s");
    let mut rows: Vec<&str> = table.iter().map(|(seen, _)| seen.split(':').next().unwrap()).collect();
    rows.dedup();
    assert_eq!(rows, ["handled", "failed", "expired", "unclear"], "rows that nobody tried");
}
