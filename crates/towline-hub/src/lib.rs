//! towline-hub
