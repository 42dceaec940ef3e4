//! Mail: envelopes, receipts, and the pure machines of hub and agent.

mod canonical;
pub mod code;
pub mod envelope;
pub mod keys;
pub mod message;
pub mod outcome;
pub mod receipt;
