//! A link of [`towline_sim`] between two network namespaces, in real time, so that kernel TCP and any program that speaks UDP
//! cross the same link that tests simulate.
//!
//! A [`Lab`] is two namespaces with one TUN device each and a forwarder between them: what the kernel of one writes is given to
//! a [`towline_sim::Line`] and, when the line says so, to the kernel of the other. There is no second implementation of
//! delay, queue or loss. [`check`] holds a lab against what was asked and finds the rate up to which it can be believed.
//!
//! Needs root, `/dev/net/tun` and iproute2; [`Unable`] says what is missing. IPv4 only.

pub mod check;
mod forwarder;
mod lab;
mod namespace;
mod packet;
mod punctual;
mod traffic;

pub use forwarder::{Lateness, Snapshot};
pub use lab::{FAR, Lab, NEAR, Unable};
pub use namespace::{Namespace, PREFIX, remove_own, remove_stale};
