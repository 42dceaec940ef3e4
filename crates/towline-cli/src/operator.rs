//! What the operator asks of the hub on this machine, through its socket.

use crate::exit::Exit;
use crate::failure::Failure;
use crate::home::Home;
use towline_hub::admin::{self, Answer, CallError, Command};
use towline_proto::mail::code::Code;

/// Asks, and takes a `no` for a failure.
pub(crate) fn ask(home: &Home, command: &Command) -> Result<Answer, Failure> {
    let answer = admin::call(&home.admin_socket(), command).map_err(|error| failure(&error))?;
    match answer {
        Answer::No { code, text } => Err(match code.parse::<Code>() {
            // Whoever may ask here sees every device, and more than `who` tells a device.
            Ok(code @ Code::NoSuchDevice) => Failure::coded(code, &text).cure("`towline device ls` lists the devices"),
            Ok(code) => Failure::coded(code, &text),
            Err(()) => Failure::usage(text),
        }),
        answer => Ok(answer),
    }
}

fn failure(error: &CallError) -> Failure {
    match error {
        CallError::NoHub { path, error } => Failure::new(
            Exit::Unreachable,
            format!("no hub runs on this machine with this home: {}: {error}", path.display()),
        )
        .cure("give this command where `towline hub` runs, as the same user and with the same `--home`"),
        CallError::Io(_) | CallError::Answer(_) => Failure::new(Exit::Unreachable, error.to_string()),
    }
}
