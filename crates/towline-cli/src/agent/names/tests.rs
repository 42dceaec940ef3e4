use super::*;
use proptest::prelude::*;

const ID: MessageId = MessageId([7; 16]);

fn safe(name: &str) -> Result<String, BadName> {
    SafeName::new(name, ID).map(|safe| safe.as_str().to_owned())
}

#[test]
fn ordinary_names_stay_as_they_are() {
    for name in ["order.xml", "two words.csv", "it's \"quoted\".txt", "a;b$(c)`d`.sh", "Übergröße.xml", "注文.xml", "a~b-c.d"] {
        assert_eq!(safe(name).as_deref(), Ok(name));
    }
}

#[test]
fn what_is_no_name_is_refused_by_name() {
    assert_eq!(safe("a\0b"), Err(BadName::Nul));
    assert_eq!(safe("../x"), Err(BadName::Slash));
    assert_eq!(safe("/etc/passwd"), Err(BadName::Slash));
    assert_eq!(safe("."), Err(BadName::Dots));
    assert_eq!(safe(".."), Err(BadName::Dots));
    assert_eq!(safe(&"x".repeat(256)), Err(BadName::TooLong));
    assert_eq!(safe(&"x".repeat(4_096)), Err(BadName::TooLong));
    assert!(safe(&"x".repeat(255)).is_ok());
}

#[test]
fn what_misleads_is_replaced() {
    assert_eq!(safe("a\nb\r\tc").as_deref(), Ok("a_b__c"));
    assert_eq!(safe("invoice\u{202e}fdp.exe").as_deref(), Ok("invoice_fdp.exe"));
    assert_eq!(safe("..\\..\\x").as_deref(), Ok("_._.._x"));
    assert_eq!(safe(".bashrc").as_deref(), Ok("_bashrc"));
    assert_eq!(safe("-rf").as_deref(), Ok("_rf"));
    assert_eq!(safe("report. ").as_deref(), Ok("report._"));
    assert_eq!(safe("CON").as_deref(), Ok("_CON"));
    assert_eq!(safe("nul.txt").as_deref(), Ok("_nul.txt"));
    assert_eq!(safe("com1.x").as_deref(), Ok("_com1.x"));
    assert_eq!(safe("common.x").as_deref(), Ok("common.x"));
    assert_eq!(safe("...").as_deref(), Ok("_._"));
}

#[test]
fn a_message_without_a_name_bears_its_id() {
    assert_eq!(safe(""), Ok(ID.to_string()));
}

#[test]
fn a_windows_device_name_that_grows_past_the_limit_is_refused() {
    assert_eq!(safe(&format!("nul.{}", "x".repeat(251))), Err(BadName::TooLong));
}

#[test]
fn a_taken_name_is_numbered_ahead_of_its_extension() {
    let name = SafeName::new("order.xml", ID).unwrap();
    assert_eq!([1, 2, 17].map(|n| name.numbered(n)), ["order.xml", "order (2).xml", "order (17).xml"]);
    assert_eq!(SafeName::new("README", ID).unwrap().numbered(2), "README (2)");
    let long = SafeName::new(&format!("{}.xml", "ä".repeat(125)), ID).unwrap().numbered(2);
    assert!(long.len() <= MAX_NAME_BYTES && long.ends_with("ä (2).xml"), "{long}");
    let no_extension = format!("a.{}", "x".repeat(253));
    assert!(SafeName::new(&no_extension, ID).unwrap().marked(&ID.to_string()).len() <= MAX_NAME_BYTES);
}

/// Pieces that have broken somebody's file name handling.
fn hostile() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec![
        "..", ".", "/", "\\", "\0", "\n", "\r", "\u{202e}", "\u{200f}", "\u{feff}", "CON", "con.", "aux", "-", "--", "~", " ",
        "'", "\"", ";", "$(reboot)", "`id`", "|", "&", "*", "?", "%00", "%2e%2e%2f", "ä", "漢", "𝒳", "a", "B", ".xml", "\u{7f}",
        "\u{85}", ":", "etc", "passwd",
    ]);
    prop_oneof![
        prop::collection::vec(pieces, 0..12).prop_map(|pieces| pieces.concat()),
        any::<String>(),
        (1usize..5_000).prop_map(|n| "x".repeat(n)),
    ]
}

proptest! {
    #[test]
    fn p27_every_name_is_refused_or_becomes_one_visible_component(name in hostile()) {
        if let Ok(safe) = SafeName::new(&name, ID) {
            for text in [safe.numbered(1), safe.numbered(2), safe.numbered(1_000), safe.marked(&ID.to_string())] {
                prop_assert!(!text.is_empty() && text.len() <= MAX_NAME_BYTES);
                prop_assert!(!text.contains(['/', '\0', '\\']) && !text.starts_with(['.', '-', '~']));
                prop_assert!(!text.chars().any(char::is_control));
                let mut components = std::path::Path::new(&text).components();
                prop_assert!(matches!(components.next(), Some(std::path::Component::Normal(_))));
                prop_assert!(components.next().is_none());
            }
        }
    }
}
