//! Whole sessions over loopback sockets and memory.
