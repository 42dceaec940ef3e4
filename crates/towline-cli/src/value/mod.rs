//! Values as people type them: durations, sizes, recipients.

pub(crate) mod duration;
pub(crate) mod recipient;
pub(crate) mod size;
