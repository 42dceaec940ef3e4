//! Makes the messages and the service of `proto/kitchen.proto`.

fn main() -> std::io::Result<()> {
    towline_build::compile(&["proto/kitchen.proto"], &["proto"])
}
