//! towline-sim
