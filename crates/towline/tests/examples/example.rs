//! A running example.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

/// How long anything may take before a test fails instead of hanging.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// An example as a program, stopped when it is dropped.
pub(crate) struct Example {
    child: Child,
    stdout: BufReader<ChildStdout>,
}

impl Example {
    pub(crate) fn start(name: &str, arguments: &[&str]) -> Self {
        // Tests lie in target/PROFILE/deps, examples beside that.
        let mut path = std::env::current_exe().unwrap();
        path.pop();
        path.set_file_name("examples");
        let mut command = Command::new(path.join(name));
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| match error.kind() {
            ErrorKind::NotFound => panic!("`cargo build -p towline --examples` comes first when one test is chosen"),
            _ => panic!("{name}: {error}"),
        });
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Self { child, stdout }
    }

    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// Starts one that says `listening on ADDRESS`, perhaps with more behind it; the address.
    pub(crate) fn listening(name: &str, arguments: &[&str]) -> (Self, String) {
        let mut example = Self::start(name, arguments);
        let line = example.line();
        let address = line.strip_prefix("listening on ").and_then(|rest| rest.split(' ').next());
        let address = address.unwrap_or_else(|| panic!("{name} said {line:?}")).to_owned();
        (example, address)
    }

    pub(crate) fn type_line(&mut self, line: &str) {
        writeln!(self.child.stdin.as_mut().unwrap(), "{line}").unwrap();
    }

    /// Types no more; everything it prints until it ends by itself, and whether it ended well.
    pub(crate) fn finish(mut self) -> (String, bool) {
        drop(self.child.stdin.take());
        let mut said = String::new();
        self.stdout.read_to_string(&mut said).unwrap();
        (said, self.child.wait().unwrap().success())
    }
}

impl Drop for Example {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A connection to an example; nothing on it waits for ever.
pub(crate) fn connect(address: &str) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}
