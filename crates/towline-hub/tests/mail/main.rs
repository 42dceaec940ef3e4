//! Mail through a real hub on loopback, spoken word by word over real sessions.

mod bodies;
mod live;
mod messages;
mod proxy;
mod sessions;
mod support;
