//! What a process says of a run, and what the system says of a process.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What one side measured.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Figures {
    pub messages: u64,
    pub seconds: f64,
    pub cpu_seconds: f64,
    /// Latencies in microseconds; only whoever asks knows them.
    pub p50_us: f64,
    pub p99_us: f64,
    pub p999_us: f64,
    /// Memory held for connections, in bytes; only a server of idle connections says it.
    pub held_bytes: f64,
    pub allocations: u64,
}

/// Processor time of this process so far.
pub fn cpu_time() -> Duration {
    let mut nanos = 0;
    for task in std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten() {
        let schedule = std::fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
        nanos += schedule.split(' ').next().and_then(|word| word.parse::<u64>().ok()).unwrap_or(0);
    }
    Duration::from_nanos(nanos)
}

/// Resident memory of this process in bytes.
pub fn resident_bytes() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().split(' ').next()?.parse::<f64>().ok());
    kib.unwrap_or(0.0) * 1024.0
}
