//! A TCP proxy whose links can be frozen and cut.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Pass,
    /// Takes what comes and gives it to nobody.
    Swallow,
    /// Takes no new connection.
    Refuse,
}

#[derive(Clone, Copy)]
enum Cut {
    /// Both sides see it.
    Whole,
    /// Only the device's side sees it; the hub's connection stays open, and silent.
    Near,
}

pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    mode: watch::Sender<Mode>,
    /// Changes with every cut: how the connections of before end.
    cuts: watch::Sender<Cut>,
    swallowed: Arc<AtomicU64>,
}

impl Proxy {
    pub(crate) async fn start(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
        let address = listener.local_addr().expect("bound");
        let (mode, cuts) = (watch::Sender::new(Mode::Pass), watch::Sender::new(Cut::Whole));
        let swallowed = Arc::new(AtomicU64::new(0));
        let (modes, ends, counted) = (mode.clone(), cuts.clone(), swallowed.clone());
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                if *modes.borrow() == Mode::Refuse {
                    continue;
                }
                let (mode, mut end, counted) = (modes.subscribe(), ends.subscribe(), counted.clone());
                end.borrow_and_update();
                tokio::spawn(async move {
                    let Ok(far) = TcpStream::connect(target).await else { return };
                    let (mut near_read, mut near_write) = near.into_split();
                    let (mut far_read, mut far_write) = far.into_split();
                    tokio::select! {
                        _ = end.changed() => {}
                        () = one_way(&mut near_read, &mut far_write, mode.clone(), Arc::default()) => return,
                        () = one_way(&mut far_read, &mut near_write, mode, counted) => return,
                    }
                    let cut = *end.borrow();
                    if matches!(cut, Cut::Near) {
                        drop((near_read, near_write));
                        std::future::pending::<()>().await;
                    }
                });
            }
        });
        Self { address, mode, cuts, swallowed }
    }

    /// From now on nothing arrives, and nobody is told.
    pub(crate) fn swallow(&self) {
        self.mode.send_replace(Mode::Swallow);
    }

    /// Waits until so many bytes from the hub's side were swallowed.
    pub(crate) async fn until_swallowed(&self, bytes: u64) {
        while self.swallowed.load(Ordering::Relaxed) < bytes {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    }

    /// Cuts every connection and takes no new one.
    pub(crate) fn cut(&self) {
        self.mode.send_replace(Mode::Refuse);
        self.cuts.send_replace(Cut::Whole);
    }

    /// Cuts every connection on the device's side alone, and takes new ones.
    pub(crate) fn cut_near(&self) {
        self.cuts.send_replace(Cut::Near);
    }

    /// New connections pass.
    pub(crate) fn heal(&self) {
        self.mode.send_replace(Mode::Pass);
    }
}

async fn one_way(
    from: &mut OwnedReadHalf,
    to: &mut OwnedWriteHalf,
    mode: watch::Receiver<Mode>,
    swallowed: Arc<AtomicU64>,
) {
    let mut buffer = vec![0; 16 * 1024];
    // Once a byte was swallowed the rest would only break TLS, so this connection swallows to its end.
    let mut swallows = false;
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        swallows |= *mode.borrow() == Mode::Swallow;
        if swallows {
            swallowed.fetch_add(count as u64, Ordering::Relaxed);
        } else if to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}
