//! A hub, started and ended.

use crate::admin;
use crate::config::hub::HubConfig;
use crate::http::{self, Health};
use crate::metrics::Metrics;
use crate::shell::event::{EVENTS, Event, Events};
use crate::shell::session::HubPlugin;
use crate::shell::{HubInfo, Keeper, Operator};
use crate::store::{Damage, FailurePlan, Mailbox, StoreError};
use std::fs::{DirBuilder, File, TryLockError};
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;
use towline::{Identity, IdentityError, Limits, RunningServer, Server};
use towline_proto::ids::KeyHash;
use towline_proto::mail::hub::io::Input;
use towline_proto::mail::policy::Policy;

/// Why a hub did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration contradicts itself.
    #[error("configuration: {0}")]
    Config(String),
    /// Another hub has this state folder.
    #[error("another hub runs with the state folder {}", folder.display())]
    Running {
        /// The folder.
        folder: PathBuf,
    },
    /// A file or folder cannot be used.
    #[error("{}: {error}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// An address cannot be listened on; the error names it.
    #[error("{0}")]
    Listen(std::io::Error),
    /// The key cannot be read or made.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The mailbox cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The hub; see [`Hub::start`].
#[derive(Debug)]
pub struct Hub;

/// A hub at work. It ends by [`RunningHub::shutdown`]; when dropped, it ends as a killed one would, losing nothing
/// that it accepted.
pub struct RunningHub {
    server: Arc<tokio::sync::Mutex<Option<RunningServer>>>,
    info: Arc<HubInfo>,
    events: Events,
    serving: Arc<AtomicBool>,
    core: Option<JoinHandle<()>>,
    helpers: Vec<AbortHandle>,
    admin_socket: PathBuf,
    drain: Duration,
    _lock: File,
}

impl Hub {
    /// Starts a hub on the present tokio runtime.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start(config: HubConfig) -> Result<RunningHub, StartError> {
        Self::start_with_failures(config, FailurePlan::never()).await
    }

    /// Starts a hub whose commits fail when `failures` says so: for tests.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start_with_failures(config: HubConfig, failures: FailurePlan) -> Result<RunningHub, StartError> {
        let core = config.core().map_err(StartError::Config)?;
        let folder = config.folder();
        let lock = prepare_folder(&folder)?;
        let identity = Arc::new(Identity::load_or_create(config.key_file())?);
        let mail = folder.join("mail.db");
        let mailbox = tokio::task::spawn_blocking(move || Mailbox::open(&mail)).await;
        let mailbox = mailbox.map_err(|error| StartError::Config(error.to_string()))??;

        let (events, inbox) = mpsc::channel(EVENTS);
        let mut limits = Limits::default();
        limits.probe_period = config.probe_period.0;
        limits.pool = config.pool().map_err(StartError::Config)?;
        let mut builder = Server::builder(identity.clone()).limits(limits).post_quantum(config.pq.0);
        for address in usable(&config.listen) {
            builder = builder.listen(address);
        }
        let server = builder.serve(HubPlugin { events: events.clone() }).await.map_err(StartError::Listen)?;
        let listen = server.local_addrs().to_vec();
        let http = match config.http.as_str() {
            "off" => None,
            address => Some(tokio::net::TcpListener::bind(address).await.map_err(|error| {
                let text = format!("cannot listen on {address}: {error}");
                StartError::Listen(std::io::Error::new(error.kind(), text))
            })?),
        };
        let info = Arc::new(HubInfo {
            software: core.software.clone(),
            key: identity.key_hash(),
            hosts: if config.announce.is_empty() { announced(&listen) } else { config.announce.clone() },
            http: http.as_ref().and_then(|listener| listener.local_addr().ok()),
            listen,
            open_policy: config.dev,
            keep_failed_ms: config.keep_failed.as_millis(),
            keep_records_ms: config.keep_records.as_millis(),
            damage: mailbox.damage().cloned(),
            set_aside: mailbox.set_aside().to_vec(),
            shutdown: tokio::sync::Notify::new(),
        });

        let (metrics, ready, serving) = (Arc::new(Metrics::new()), Arc::default(), Arc::new(AtomicBool::new(true)));
        metrics.mailbox(info.damage.as_ref(), info.set_aside.len());
        let keeper = Keeper {
            mailbox,
            folder,
            core,
            identity,
            metrics: metrics.clone(),
            info: info.clone(),
            events: events.clone(),
            ready: Arc::clone(&ready),
            failures,
        };
        let core = start_core(keeper, inbox).map_err(|error| StartError::Io { path: "hub-core".into(), error })?;

        let server = Arc::new(tokio::sync::Mutex::new(Some(server)));
        let socket = config.admin_socket();
        let listener = admin::serve::bind(&socket).map_err(|error| StartError::Io { path: socket.clone(), error })?;
        let operator = Operator { events: events.clone() };
        let mut helpers = vec![tokio::spawn(admin::serve::serve(listener, operator)).abort_handle()];
        if let Some(listener) = http {
            let counted = server.clone();
            let counters = move || {
                let guard = counted.try_lock().ok();
                guard.and_then(|guard| guard.as_ref().map(RunningServer::counters)).unwrap_or_default()
            };
            let (serving, damaged) = (serving.clone(), !info.set_aside.is_empty());
            let health = Health { metrics, store: ready, serving, damaged, counters: Arc::new(counters) };
            let serve = async move { axum::serve(listener, http::routes(health)).await };
            helpers.push(tokio::spawn(serve).abort_handle());
        }
        let core = Some(core);
        Ok(RunningHub {
            server,
            info,
            events,
            serving,
            core,
            helpers,
            admin_socket: socket,
            drain: config.drain.0,
            _lock: lock,
        })
    }
}

impl RunningHub {
    /// Where devices connect, ports resolved.
    pub fn local_addrs(&self) -> &[SocketAddr] {
        &self.info.listen
    }

    /// Where health and metrics are served.
    pub fn http_addr(&self) -> Option<SocketAddr> {
        self.info.http
    }

    /// The hub's key.
    pub fn key(&self) -> KeyHash {
        self.info.key
    }

    /// What tickets name as the hub's addresses.
    pub fn hosts(&self) -> &[String] {
        &self.info.hosts
    }

    /// What was wrong with the mailbox at this start.
    pub fn damage(&self) -> Option<&Damage> {
        self.info.damage.as_ref()
    }

    /// Damaged mailboxes of this and earlier starts that nobody has moved away yet.
    pub fn set_aside(&self) -> &[PathBuf] {
        &self.info.set_aside
    }

    /// The operator's socket.
    pub fn admin_socket(&self) -> &Path {
        &self.admin_socket
    }

    /// Waits until the operator asks for the end.
    pub async fn shutdown_requested(&self) {
        self.info.shutdown.notified().await;
    }

    /// Puts another policy in force, for live sessions too.
    pub async fn set_policy(&self, policy: Policy) {
        let _ = self.events.send(Event::Input(Input::Policy(Box::new(policy)))).await;
    }

    /// Takes nothing new, tells every session, commits what was handed in, and ends.
    pub async fn shutdown(mut self) {
        self.serving.store(false, Ordering::SeqCst);
        let _ = self.events.send(Event::Drain).await;
        let server = self.server.lock().await.take();
        if let Some(server) = server {
            server.shutdown(self.drain).await;
        }
        let (reply, stopped) = oneshot::channel();
        if self.events.send(Event::Stop(reply)).await.is_ok() {
            let _ = stopped.await;
        }
        if let Some(core) = self.core.take() {
            let _ = tokio::task::spawn_blocking(move || core.join()).await;
        }
        let _ = std::fs::remove_file(&self.admin_socket);
    }
}

impl Drop for RunningHub {
    fn drop(&mut self) {
        for helper in &self.helpers {
            helper.abort();
        }
        if self.core.is_some() {
            // Best effort: without it the core's thread ends with the process.
            let (reply, _) = oneshot::channel();
            let _ = self.events.try_send(Event::Stop(reply));
        }
    }
}

/// Makes the folder, readable for its owner only, and takes its lock.
fn prepare_folder(folder: &Path) -> Result<File, StartError> {
    let told = |path: &Path| {
        let path = path.to_owned();
        move |error| StartError::Io { path, error }
    };
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(told(folder))?;
    let path = folder.join("lock");
    let lock = File::options().write(true).create(true).truncate(false).open(&path).map_err(told(&path))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(StartError::Running { folder: folder.into() }),
        Err(TryLockError::Error(error)) => Err(told(&path)(error)),
    }
}

/// The core's thread: it may block on the disk, so it is none of the runtime's own.
fn start_core(keeper: Keeper, inbox: mpsc::Receiver<Event>) -> std::io::Result<JoinHandle<()>> {
    let runtime = tokio::runtime::Handle::current();
    std::thread::Builder::new().name("hub-core".into()).spawn(move || runtime.block_on(keeper.run(inbox)))
}

/// Leaves out IPv6 where the machine has none, if another address remains.
fn usable(listen: &[String]) -> Vec<String> {
    let has_v6 = TcpListener::bind("[::1]:0").is_ok();
    let usable: Vec<String> = listen.iter().filter(|address| has_v6 || !address.starts_with('[')).cloned().collect();
    if usable.is_empty() { listen.to_vec() } else { usable }
}

/// What a ticket names when nobody said: the listeners, with this machine's own address in place of "any".
fn announced(listen: &[SocketAddr]) -> Vec<String> {
    let mut hosts = Vec::new();
    for address in listen {
        let ip = if address.ip().is_unspecified() { outward(address.ip()) } else { Some(address.ip()) };
        let Some(ip) = ip else { continue };
        let host = SocketAddr::new(ip, address.port()).to_string();
        if !hosts.contains(&host) {
            hosts.push(host);
        }
    }
    if hosts.is_empty() {
        hosts.extend(listen.first().map(|address| format!("127.0.0.1:{}", address.port())));
    }
    hosts
}

/// The address from which this machine would speak to the world (addresses of RFC 5737 and 3849; nothing is sent).
fn outward(any: IpAddr) -> Option<IpAddr> {
    let (from, to) = if any.is_ipv4() { ("0.0.0.0:0", "192.0.2.1:9") } else { ("[::]:0", "[2001:db8::1]:9") };
    let socket = UdpSocket::bind(from).ok()?;
    socket.connect(to).ok()?;
    Some(socket.local_addr().ok()?.ip()).filter(|ip| !ip.is_unspecified())
}
