//! Services of Towline from `.proto` files: for build scripts.
//!
//! ```no_run
//! // build.rs
//! fn main() -> std::io::Result<()> {
//!     towline_build::compile(&["proto/kitchen.proto"], &["proto"])
//! }
//! ```
//! For each package there is then a file with its messages, as [`prost_build`] makes them, and for each service a module,
//! as `towline::service!` makes it: `Handler` to implement, `Client` to call it, `plugin` for a server.
//!
//! ```text
//! mod kitchen {
//!     include!(concat!(env!("OUT_DIR"), "/kitchen.v1.rs"));
//! }
//! use kitchen::oven::{Client, Handler}; // of `service Oven`
//! ```
//! A program needs `towline` with the feature `prost`, and `prost` itself; no `protoc` is needed. On the wire a method has
//! the name that it has in gRPC, without the first slash: `kitchen.v1.Oven/Bake`.

mod generate;

use std::io;
use std::path::Path;

pub use prost_build;

/// Makes code of these `.proto` files and what they import, looked up in `includes`, into `OUT_DIR`.
///
/// # Errors
/// A file is not found or is wrong, with the place; the code cannot be written.
pub fn compile(protos: &[impl AsRef<Path>], includes: &[impl AsRef<Path>]) -> io::Result<()> {
    compile_with(&mut prost_build::Config::new(), protos, includes)
}

/// The same with settings for [`prost_build`]: attributes, types from elsewhere, another folder.
///
/// # Errors
/// As [`compile`].
pub fn compile_with(
    config: &mut prost_build::Config,
    protos: &[impl AsRef<Path>],
    includes: &[impl AsRef<Path>],
) -> io::Result<()> {
    let mut compiler = protox::Compiler::new(includes).map_err(io::Error::other)?;
    compiler.include_imports(true).include_source_info(true).open_files(protos).map_err(io::Error::other)?;
    // Imports, too; those that come with the compiler have no path.
    for path in compiler.files().filter_map(|file| file.path()) {
        println!("cargo::rerun-if-changed={}", path.display());
    }
    config.service_generator(Box::new(Services)).compile_fds(compiler.file_descriptor_set())
}

/// Makes the services, for who runs [`prost_build`] otherwise, with `protoc` say:
///
/// ```no_run
/// # fn main() -> std::io::Result<()> {
/// towline_build::prost_build::Config::new()
///     .service_generator(Box::new(towline_build::Services))
///     .compile_protos(&["proto/kitchen.proto"], &["proto"])
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Services;

impl prost_build::ServiceGenerator for Services {
    fn generate(&mut self, service: prost_build::Service, code: &mut String) {
        generate::service(&service, code);
    }
}
