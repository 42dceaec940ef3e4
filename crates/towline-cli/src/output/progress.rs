//! The bar: it counts bytes that the receiver has written, not bytes that left this machine.

use super::{Output, bytes};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// Off a terminal, one line in so many seconds is enough to see that it lives.
const LINE_PERIOD: Duration = Duration::from_secs(10);

/// The progress of one file towards one device.
pub(crate) struct Progress {
    look: Look,
    label: String,
    size: u64,
}

enum Look {
    Hidden,
    Bar(ProgressBar),
    Lines { last: Option<Instant> },
    Json { last: Option<Instant> },
}

impl Progress {
    /// A bar on a terminal, else lines on stderr (JSON lines with `--json`), else nothing.
    pub(crate) fn new(out: &Output, label: impl Into<String>, size: u64) -> Self {
        let look = if !out.shows_progress() {
            Look::Hidden
        } else if out.is_json() {
            Look::Json { last: None }
        } else if std::io::stderr().is_terminal() {
            Look::Bar(bar(size))
        } else {
            Look::Lines { last: None }
        };
        let progress = Self { look, label: label.into(), size };
        if let Look::Bar(bar) = &progress.look {
            bar.set_message(progress.label.clone());
        }
        progress
    }

    /// The receiver has written this many bytes.
    pub(crate) fn written(&mut self, done: u64) {
        let (label, size) = (&self.label, self.size);
        match &mut self.look {
            Look::Hidden => {}
            Look::Bar(bar) => bar.set_position(done),
            Look::Lines { last } => {
                if due(last) {
                    eprintln!("{label}: {} of {} written", bytes(done), bytes(size));
                }
            }
            Look::Json { last } => {
                if due(last) {
                    let line = serde_json::json!({"event": "progress", "what": label, "written": done, "size": size});
                    eprintln!("{line}");
                }
            }
        }
    }

    /// Whatever comes next is printed below the bar.
    pub(crate) fn done(self) {
        if let Look::Bar(bar) = self.look {
            bar.abandon();
            // The bar leaves the cursor behind its last blank.
            eprintln!();
        }
    }
}

fn bar(size: u64) -> ProgressBar {
    let template = "{msg} [{bar:30}] {decimal_bytes}/{decimal_total_bytes} written  {decimal_bytes_per_sec}  {eta}";
    let style = ProgressStyle::with_template(template).expect("the template is well formed").progress_chars("=> ");
    let bar = ProgressBar::with_draw_target(Some(size), ProgressDrawTarget::stderr_with_hz(10));
    bar.set_style(style);
    bar
}

fn due(last: &mut Option<Instant>) -> bool {
    let due = last.is_none_or(|last| last.elapsed() >= LINE_PERIOD);
    if due {
        *last = Some(Instant::now());
    }
    due
}
