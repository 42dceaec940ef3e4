//! The example, started as a program.

use std::process::Command;

#[test]
fn a_service_of_a_proto_file_answers_all_four_shapes() {
    let output = Command::new(env!("CARGO_BIN_EXE_towline-example-proto")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let expected = r#"one there, one back: Meal { name: "warm pie", minutes: 20 }
a refusal: invalid-argument: there is nothing to bake
many back: 20 degrees
many back: 110 degrees
many back: 200 degrees
many there: Weight { grams: 750 }
many both ways: Some(Meal { name: "warm soup", minutes: 4 })
many both ways: Some(Meal { name: "warm roll", minutes: 4 })
the end: None
"#;
    assert_eq!(String::from_utf8(output.stdout).unwrap(), expected);
}
