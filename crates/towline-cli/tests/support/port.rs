//! Ports that a program may leave and take again, as a hub that is killed and started does.

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};

/// Below what kernels give to sockets that ask for any port: no stranger is given one of these while a hub is down.
const FIRST: u16 = 20_000;
const COUNT: u16 = 12_000;

/// A port of 127.0.0.1 that no other test takes while this lives.
pub struct Port {
    number: u16,
    /// Its lock is what keeps others away: of threads, and of other runs of the tests beside this one.
    _lock: File,
}

impl Port {
    /// One that is free.
    pub fn free() -> Self {
        static TRIED: AtomicU16 = AtomicU16::new(0);
        let dir = std::env::temp_dir().join("towline-test-ports");
        fs::create_dir_all(&dir).unwrap();
        let begin = (std::process::id() % u32::from(COUNT)) as u16;
        for _ in 0..COUNT {
            let number = FIRST + (begin + TRIED.fetch_add(1, Ordering::Relaxed)) % COUNT;
            let lock = File::options().create(true).append(true).open(dir.join(number.to_string())).unwrap();
            if lock.try_lock().is_ok() && TcpListener::bind((Ipv4Addr::LOCALHOST, number)).is_ok() {
                return Self { number, _lock: lock };
            }
        }
        panic!("{COUNT} ports are taken");
    }

    /// Its number.
    pub const fn number(&self) -> u16 {
        self.number
    }
}
