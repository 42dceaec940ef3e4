//! Whole sessions through the public interface: over loopback sockets, memory, and a proxy that cuts.

mod batches;
mod call_pool;
mod calls;
mod direct;
mod echo;
mod hostile;
mod memory;
mod openssl;
mod proxy;
mod resume;
mod services;
mod support;
mod time;
mod tower_layers;
