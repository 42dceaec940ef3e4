//! Threads that run when they are due, also on a busy machine.

use std::num::NonZero;
use std::process::Command;

/// The real-time priority of the forwarder.
pub(crate) const FORWARDER: u8 = 10;

/// The real-time priority of senders and receivers that measure: below the forwarder, above all that is not real-time, so
/// that the emulator is measured and not what else the machine has to do.
pub(crate) const METER: u8 = 5;

/// Asks for what makes the calling thread punctual. Refused or not: what is reached is measured.
pub(crate) fn be_punctual(priority: u8) {
    _ = rustix::thread::set_current_timer_slack(NonZero::new(1));
    // There is no safe call for this, but a program in every distribution.
    let thread = rustix::thread::gettid().as_raw_nonzero().to_string();
    let done = Command::new("chrt").args(["--fifo", "--pid", &priority.to_string(), &thread]).output();
    if !done.is_ok_and(|output| output.status.success()) {
        _ = rustix::process::nice(-20);
    }
}
