//! `towline agent`: takes this device's messages and sends what lies in its outbox, until it is asked to end.

use super::Context;
use crate::agent::{self, AgentConfig, AgentError, Tell, Told};
use crate::device::{self, DeviceConfig};
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::help;
use crate::home::Home;
use crate::output::Output;
use crate::signals::EndAsked;
use clap::Args;
use serde_json::json;
use std::fs::{File, TryLockError};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use towline::Client;

/// Take this device's messages, run its rules, send what lies in its outbox
#[derive(Debug, Args)]
#[command(
    after_help = "What no rule of HOME/device/agent.toml matches appears whole in HOME/device/inbox. A file dropped \
    into HOME/device/outbox/DEVICE/ is sent to that device.\n\n\
    Examples:\n  towline agent\n  towline agent --set inbox=/srv/in --json"
)]
pub(crate) struct Agent {
    /// Set an option of agent.toml, over file and environment (TOWLINE_AGENT_…); may repeat
    #[arg(long, value_name = "OPTION=VALUE")]
    set: Vec<String>,
}

impl Agent {
    pub(super) async fn run(self, context: &Context) -> Outcome {
        let joined = DeviceConfig::load(&context.home)?;
        let _only_one = lock(&context.home)?;
        let config = AgentConfig::load(&context.home.device(), &self.set)?;
        help::unknown_variables("AGENT").iter().for_each(|what| tracing::warn!("{what}"));
        let identity = device::identity(&context.home)?;
        let mut way = config.client();
        way.post_quantum = joined.pq.0;
        let client = Client::new(identity.clone(), joined.hub_key()?, joined.hosts.clone(), way);
        let (ask_end, end) = watch::channel(false);
        let mut asked = EndAsked::listen();
        let human = format!("agent of {} for the hub at {}", joined.name, joined.hosts.join(", "));
        context.out.event(human, &json!({ "event": "started", "device": joined.name, "hosts": joined.hosts }));
        let running = agent::run(config, identity, client, teller(context.out), end);
        tokio::pin!(running);
        let ended = tokio::select! {
            ended = &mut running => ended,
            () = asked.wait() => {
                context.out.event("draining", &json!({ "event": "draining" }));
                ask_end.send_replace(true);
                running.await
            }
        };
        ended.map_err(|AgentError::Denied { code, text }| Failure::coded(code, &text))?;
        context.out.event("ended", &json!({ "event": "ended" }));
        Ok(Exit::Done)
    }
}

/// How long the lock of an agent that was just killed may outlive it: a command it was about to start holds a copy from
/// its fork to its exec.
const LOCK_PATIENCE: Duration = Duration::from_secs(2);
/// How often it is tried meanwhile.
const LOCK_LOOK: Duration = Duration::from_millis(20);

/// Two agents of one device would share its journal and take each other's session; the system gives the lock back
/// however the first one ends.
fn lock(home: &Home) -> Result<File, Failure> {
    let path = home.agent_lock();
    let file = File::create(&path).map_err(|error| Failure::io("make", &path, &error))?;
    let start = Instant::now();
    let mut taken = file.try_lock();
    while matches!(taken, Err(TryLockError::WouldBlock)) && start.elapsed() < LOCK_PATIENCE {
        std::thread::sleep(LOCK_LOOK);
        taken = file.try_lock();
    }
    match taken {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            let what = format!("an agent of this device runs already: {} is locked", path.display());
            Err(Failure::new(Exit::Error, what).cure("stop it first, or give this one a home of its own with `--home`"))
        }
        Err(TryLockError::Error(error)) => Err(Failure::io("lock", &path, &error)),
    }
}

/// Events are lines of stdout for programs, and of the log, which bears the time, for people.
fn teller(out: Output) -> Tell {
    Arc::new(move |told: &Told| match (out.is_json(), told) {
        (true, told) => out.event("", told),
        (false, Told::NotConnected { .. } | Told::OutboxFailed { .. }) => tracing::warn!("{told}"),
        (false, told) => tracing::info!("{told}"),
    })
}
