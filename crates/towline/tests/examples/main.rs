//! The examples, started as programs, driven over the loopback, and stopped.

mod codecs;
mod example;
mod low_layer;
