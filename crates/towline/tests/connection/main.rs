//! Connections over real streams and drivers, through the public interface alone.

#[path = "../../../../fuzz/src/compress.rs"]
mod compress;
mod crowd;
mod exhausted;
mod filters;
mod hostile;
mod own_driver;
mod runtimes;
mod secure;
mod support;
#[path = "../../../../fuzz/src/tls.rs"]
mod tls;
mod urgent_byte;
