//! `towline demo`: an operator's day on this machine, with real processes, real keys and a real crash.

mod crew;
mod fault;
mod material;
mod program;
mod report;
mod scenes;
mod stage;

use super::Context;
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::signals::EndAsked;
use clap::Args;
use fault::Fault;
use report::Report;
use stage::Stage;
use towline_hub::config::units::Size;

/// Play an operator's day here: a hub, two devices, files, a failing handler, a crash
#[derive(Debug, Args)]
#[command(after_help = "It starts a hub and two devices as processes of their own in a temporary directory, on free \
                        loopback ports, and leaves nothing running. Exit code 0: all went as it should; 1: it says what did not.\n\n\
                        Examples:\n  towline demo\n  towline demo --size 1GB --keep\n  towline demo --fault corrupt")]
pub(crate) struct Demo {
    /// Leave the directory, to look around in it
    #[arg(long)]
    keep: bool,
    /// Break one thing, to see that the demo notices
    #[arg(long, value_enum, value_name = "NAME")]
    fault: Option<Fault>,
    /// How large the large file is, such as 64MiB or 2GB
    #[arg(long, default_value = "256MB", value_name = "SIZE")]
    size: Size,
}

impl Demo {
    pub(super) async fn run(self, context: &Context) -> Outcome {
        let mut stage = Stage::build(context.out, self.fault, self.size.0, self.keep)?;
        let mut asked = EndAsked::listen();
        let played = tokio::select! {
            played = play(&mut stage) => played,
            () = asked.wait() => Err(Failure::new(Exit::Interrupted, "interrupted; everything that ran was stopped")),
        };
        let report = match played {
            Ok(report) => report,
            Err(failure) => {
                stage.tell_logs();
                stage.close();
                return Err(failure);
            }
        };
        context.out.result(report.human(&context.out), &report);
        stage.close();
        Ok(if report.is_good() { Exit::Done } else { Exit::Error })
    }
}

/// The day, scene by scene.
async fn play(stage: &mut Stage) -> Result<Report, Failure> {
    let mut report = Report::default();
    scenes::opening::open(stage).await?;
    report.add(scenes::order::printed(stage).await?);
    report.add(scenes::outbox::dropped(stage).await?);
    report.add(scenes::large::with_a_bar(stage).await?);
    report.add(scenes::order::rejected(stage).await?);
    report.add(scenes::crash::hub_killed(stage).await?);
    report.add(scenes::offline::expires(stage).await?);
    report.problems.extend(stage.stop_all());
    Ok(report)
}
