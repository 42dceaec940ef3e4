//! The program `towline`.
mod agent;

fn main() {}
