use super::*;
use proptest::prelude::*;

fn read(words: &[&str], to: &[&str], text: Option<&str>, files: &[&str]) -> Result<Words, BadWords> {
    let words: Vec<OsString> = words.iter().map(OsString::from).collect();
    let to: Vec<Recipient> = to.iter().map(|name| name.parse().unwrap()).collect();
    sort(&words, &to, text, |path| files.iter().any(|file| path == *file))
}

fn device(name: &str) -> Recipient {
    Recipient::Device(name.parse().unwrap())
}

fn file(name: &str) -> Source {
    Source::File(name.into())
}

#[test]
fn a_word_with_a_colon_is_a_recipient_wherever_it_stands() {
    let words = read(&["a.xml", "shop:", "b.xml", "office:"], &[], None, &["a.xml", "b.xml"]).unwrap();
    assert_eq!(words.sources, [file("a.xml"), file("b.xml")]);
    assert_eq!(words.recipients, [device("shop"), device("office")]);
}

#[test]
fn a_bare_last_word_is_a_recipient_only_if_no_such_file_exists() {
    let words = read(&["a.xml", "shop"], &[], None, &["a.xml"]).unwrap();
    assert_eq!(words.recipients, [device("shop")]);
    let both = read(&["a.xml", "shop"], &[], None, &["a.xml", "shop"]).unwrap_err();
    assert_eq!(both, BadWords::Ambiguous("shop".into(), "shop".into()));
    assert!(both.to_string().contains("`./shop`") && both.to_string().contains("`--to shop`"), "{both}");
}

#[test]
fn a_file_that_is_called_like_a_recipient_is_ambiguous_until_it_is_written_as_a_path() {
    assert!(matches!(read(&["a", "shop:"], &[], None, &["a", "shop:"]), Err(BadWords::Ambiguous(..))));
    assert!(matches!(read(&["@all"], &["shop"], None, &["@all"]), Err(BadWords::Ambiguous(..))));
    let words = read(&["./shop:", "shop:"], &[], None, &["./shop:"]).unwrap();
    assert_eq!((words.sources, words.recipients), (vec![file("./shop:")], vec![device("shop")]));
}

#[test]
fn something_behind_the_colon_is_not_quietly_taken_for_a_file() {
    let error = read(&["a", "shop:in/a"], &[], None, &["a"]).unwrap_err();
    assert_eq!(error, BadWords::PathAtDevice("shop:in/a".into(), "shop".into()));
    assert!(read(&["shop:in/a", "shop:"], &[], None, &["shop:in/a"]).is_ok());
}

#[test]
fn groups_and_the_to_option_add_up_and_each_counts_once() {
    let words = read(&["a", "@ovens", "shop:"], &["shop", "bar"], None, &["a"]).unwrap();
    assert_eq!(words.recipients, [Recipient::Group("ovens".into()), device("shop"), device("bar")]);
}

#[test]
fn with_the_to_option_a_bare_last_word_is_a_file() {
    let words = read(&["a", "shop"], &["bar"], None, &[]).unwrap();
    assert_eq!(words.sources, [file("a"), file("shop")]);
}

#[test]
fn text_and_standard_input_are_sources() {
    let words = read(&["shop"], &[], Some("hello"), &[]).unwrap();
    assert_eq!((words.sources, words.recipients), (vec![Source::Text("hello".into())], vec![device("shop")]));
    let words = read(&["-", "shop:"], &[], None, &[]).unwrap();
    assert_eq!(words.sources, [Source::Stdin]);
    assert_eq!(read(&["-", "-", "shop:"], &[], None, &[]), Err(BadWords::StdinTwice));
    assert_eq!(read(&["a", "shop:"], &[], Some("x"), &["a"]), Err(BadWords::TextAndFile("a".into())));
}

#[test]
fn what_is_missing_is_named() {
    assert_eq!(read(&[], &[], None, &[]), Err(BadWords::NoSource));
    assert_eq!(read(&["shop:"], &[], None, &[]), Err(BadWords::NoSource));
    assert_eq!(read(&["shop"], &[], None, &[]), Err(BadWords::NoSource));
    assert_eq!(read(&["a"], &[], None, &["a"]), Err(BadWords::NoRecipient));
    assert_eq!(read(&[], &[], Some("x"), &[]), Err(BadWords::NoRecipient));
    assert_eq!(read(&["a", "b/c"], &[], None, &["a", "b/c"]), Err(BadWords::NoRecipient));
}

#[test]
fn a_shown_recipient_reads_back_as_itself() {
    for text in ["shop:", "@ovens"] {
        assert_eq!(text.parse::<Recipient>().unwrap().to_string(), text);
    }
    assert!(
        "@".parse::<Recipient>().is_err() && ":".parse::<Recipient>().is_err() && "Shop:".parse::<Recipient>().is_err()
    );
}

proptest! {
    #[test]
    fn no_words_make_the_grammar_panic(words in prop::collection::vec(".{0,12}", 0..6), text in prop::option::of(".*")) {
        let words: Vec<OsString> = words.into_iter().map(Into::into).collect();
        let _ = sort(&words, &[], text.as_deref(), |path| path.len() % 2 == 0);
    }

    #[test]
    fn an_existing_file_is_never_taken_for_a_recipient(
        words in prop::collection::vec("[@]?[a-c]{1,2}[:]?", 1..6),
        mask in prop::collection::vec(any::<bool>(), 6),
    ) {
        let files: Vec<&String> = words.iter().zip(&mask).filter(|&(_, &there)| there).map(|(word, _)| word).collect();
        let list: Vec<OsString> = words.iter().map(Into::into).collect();
        if let Ok(sorted) = sort(&list, &[], None, |path| files.iter().any(|file| path == file.as_str())) {
            for file in files {
                prop_assert!(sorted.sources.contains(&Source::File(file.into())), "{file}");
            }
            prop_assert!(!sorted.recipients.is_empty() && !sorted.sources.is_empty());
        }
    }

    #[test]
    fn every_word_ends_up_in_exactly_one_place(words in prop::collection::vec("(\\./)?[a-z]{1,3}[:]?", 2..6)) {
        let list: Vec<OsString> = words.iter().map(Into::into).collect();
        if let Ok(sorted) = sort(&list, &[], None, |_| false) {
            let named: std::collections::BTreeSet<&String> = words.iter().collect();
            prop_assert!(sorted.sources.len() + sorted.recipients.len() <= words.len());
            prop_assert!(sorted.sources.len() + sorted.recipients.len() + (words.len() - named.len()) >= named.len());
        }
    }
}
