//! A TCP proxy that cuts connections after a chosen number of bytes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

/// Passes bytes on until its budget is used up, then cuts both ways; the next connection has the next budget.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    cuts: Arc<AtomicU64>,
}

impl Proxy {
    /// `budgets` yields, for each connection in turn, after how many bytes (both ways together) it is cut.
    pub(crate) async fn start(target: SocketAddr, mut budgets: impl Iterator<Item = u64> + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let cuts = Arc::new(AtomicU64::new(0));
        let counted = cuts.clone();
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let Some(budget) = budgets.next() else { return };
                let counted = counted.clone();
                tokio::spawn(async move {
                    let Ok(far) = TcpStream::connect(target).await else { return };
                    carry(near, far, budget).await;
                    counted.fetch_add(1, Ordering::Relaxed);
                });
            }
        });
        Self { address, cuts }
    }

    pub(crate) fn cuts(&self) -> u64 {
        self.cuts.load(Ordering::Relaxed)
    }
}

async fn carry(near: TcpStream, far: TcpStream, budget: u64) {
    let left = Arc::new(AtomicU64::new(budget));
    let (near_read, near_write) = near.into_split();
    let (far_read, far_write) = far.into_split();
    tokio::select! {
        () = one_way(near_read, far_write, left.clone()) => {}
        () = one_way(far_read, near_write, left) => {}
    }
}

async fn one_way(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, left: Arc<AtomicU64>) {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        let budget = left.load(Ordering::Relaxed).min(count as u64);
        left.fetch_sub(budget, Ordering::Relaxed);
        if to.write_all(&buffer[..budget as usize]).await.is_err() || budget < count as u64 {
            return;
        }
    }
}
