//! Mail: envelopes, receipts, and the pure machines of hub and agent.

pub mod agent;
mod canonical;
pub mod clock;
pub mod code;
pub mod envelope;
pub mod glob;
pub mod hub;
pub mod keys;
pub mod limits;
pub mod message;
pub mod outcome;
pub mod policy;
pub mod receipt;
