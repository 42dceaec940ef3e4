use super::*;
use serde::Deserialize;

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[allow(dead_code)]
struct Shape {
    listen: Vec<String>,
    max_body: u64,
    quota: Inner,
    allow: Vec<Inner>,
    kind: Option<Kind>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[allow(dead_code)]
struct Inner {
    from: String,
    messages: u64,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Fast,
    Slow,
}

fn error(text: &str) -> ConfigError {
    parse::<Shape>(Path::new("hub.toml"), text).expect_err("it is wrong")
}

#[test]
fn the_words_of_serde_are_understood() {
    assert_eq!(error("lisen = []").to_string(), "hub.toml:1: unknown key `lisen`, did you mean `listen`?");
}

#[test]
fn an_unknown_key_in_a_table_has_its_own_line() {
    let text = "listen = []\n\n[quota]\nmessages = 1\nmesages = 2\n";
    assert_eq!(error(text).to_string(), "hub.toml:5: unknown key `mesages`, did you mean `messages`?");
    let text = "# a\n[[allow]]\nfrom = 'a'\n\n[[allow]]\nfrmo = 'a'\n";
    assert_eq!(error(text).to_string(), "hub.toml:6: unknown key `frmo`, did you mean `from`?");
}

#[test]
fn a_key_with_no_likeness_gets_no_suggestion() {
    assert_eq!(error("zebra = 1").to_string(), "hub.toml:1: unknown key `zebra`");
}

#[test]
fn a_misspelt_value_out_of_a_list_is_suggested_too() {
    assert_eq!(error("kind = 'fsat'").to_string(), "hub.toml:1: unknown value `fsat`, did you mean `fast`?");
}

#[test]
fn a_value_of_the_wrong_type_has_its_line() {
    let error = error("listen = []\nmax_body = 'big'\n");
    assert_eq!(error.line, Some(2));
    assert!(error.message.contains("invalid type"), "{error}");
}

#[test]
fn broken_syntax_and_doubled_keys_have_their_line() {
    assert_eq!(error("listen = []\nmax_body = \n").line, Some(2));
    assert_eq!(error("max_body = 1\nmax_body = 2\n").line, Some(2));
}

#[test]
fn a_missing_or_huge_file_is_told_by_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("none.toml");
    assert!(load::<Shape>(&path).expect_err("missing").to_string().contains("none.toml: cannot be read"));
    std::fs::File::create(&path).and_then(|file| file.set_len(MAX_FILE_BYTES + 1)).expect("a sparse file");
    assert!(load::<Shape>(&path).expect_err("huge").to_string().contains("at most"));
    std::fs::write(&path, "max_body = 7").expect("written");
    assert_eq!(load::<Shape>(&path).expect("fine").max_body, 7);
}

#[test]
fn distance_counts_letters() {
    assert_eq!(distance("listen", "lisen"), 1);
    assert_eq!(distance("", "abc"), 3);
    assert_eq!(distance("größe", "grösse"), 2);
    assert_eq!(nearest("deadline", ["default_deadline", "listen"].into_iter()), None);
    assert_eq!(nearest("max_bodies", ["max_body", "listen"].into_iter()), None);
    assert_eq!(nearest("max", ["max_body"].into_iter()), Some("max_body"));
}
