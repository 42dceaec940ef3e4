//! What a device uses of the hub.
