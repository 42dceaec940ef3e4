//! What is made of `.proto` files, against what is checked in; and what is said of wrong ones.

use std::path::Path;

/// With `TOWLINE_BLESS` set it writes the files anew.
#[test]
fn what_is_made_of_a_proto_file_is_what_is_checked_in() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let made = tempfile::tempdir().unwrap();
    let mut config = towline_build::prost_build::Config::new();
    config.out_dir(made.path());
    towline_build::compile_with(&mut config, &[folder.join("proto/names.proto")], &[folder.join("proto")]).unwrap();
    for file in ["names.v1.rs", "pantry.v1.rs"] {
        let (new, kept) = (made.path().join(file), folder.join("made").join(file));
        if std::env::var_os("TOWLINE_BLESS").is_some() {
            std::fs::copy(&new, &kept).unwrap();
        }
        assert_eq!(std::fs::read_to_string(new).unwrap(), std::fs::read_to_string(kept).unwrap(), "{file}");
    }
}

#[test]
fn a_wrong_or_missing_file_is_told_with_the_place() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("wrong.proto");
    std::fs::write(&file, "syntax = \"proto3\";\nservice S {\n  rpc Call(Missing) returns (Missing);\n}\n").unwrap();
    let wrong = towline_build::compile(&[&file], &[folder.path()]).unwrap_err();
    // As a build script shows it.
    let shown = format!("{wrong:?}");
    assert!(shown.contains("Missing") && shown.contains("wrong.proto:3"), "{shown}");
    let missing = towline_build::compile(&["none.proto"], &[folder.path()]).unwrap_err();
    assert!(missing.to_string().contains("none.proto"), "{missing}");
}
