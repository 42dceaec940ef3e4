use super::*;
use crate::ids::{Digest, MessageId};
use crate::mail::agent::template::{BadTemplate, check};
use crate::mail::keys::PublicKey;

fn envelope(from: &str, name: &str, content_type: &str, size: u64) -> Envelope {
    Envelope {
        id: MessageId([7; 16]),
        from: from.parse().unwrap(),
        sender: PublicKey([1; 32]),
        to: "printer".parse().unwrap(),
        deadline_ms: 0,
        lane: crate::ids::Lane::NORMAL,
        kept: true,
        name: name.into(),
        content_type: content_type.into(),
        size,
        root: Digest([0; 32]),
        time_ms: 0,
        seal: 0,
    }
}

fn words(list: &[&str]) -> Vec<String> {
    list.iter().map(ToString::to_string).collect()
}

fn rules(argv: &[&str]) -> Rules {
    let command = Command { argv: words(argv), timeout_ms: 9, concurrency: 1, repeat: false };
    let when = Match { name: words(&["*.xml"]), from: words(&["shop-*"]), max_size: Some(100), ..Match::default() };
    let save = Match { content_type: words(&["text/*"]), min_size: Some(1), ..Match::default() };
    Rules {
        rules: vec![
            Rule { name: "orders".into(), when, action: Action::Run(command) },
            Rule { name: "texts".into(), when: save, action: Action::SaveTo("/srv/in".into()) },
        ],
        store: "/var/lib/towline/".into(),
    }
}

fn argv(rules: &Rules, envelope: &Envelope) -> Vec<String> {
    match rules.plan(envelope) {
        Plan::Run(run) => run.argv,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_first_rule_that_matches_decides_and_none_means_the_inbox() {
    let rules = rules(&["print", "{file}"]);
    let matching =
        |from, name, kind, size| rules.matching(&envelope(from, name, kind, size)).map(|rule| rule.name.as_str());
    assert_eq!(matching("shop-1", "a.xml", "text/xml", 100), Some("orders"));
    assert_eq!(matching("shop-1", "a.xml", "text/xml", 101), Some("texts"));
    assert_eq!(matching("web", "a.xml", "", 1), None);
    assert_eq!(matching("web", "a", "text/plain", 0), None);
    assert!(matches!(rules.plan(&envelope("web", "a", "", 1)), Plan::Place { target: Target::Inbox, .. }));
    assert!(matches!(
        rules.plan(&envelope("web", "a", "text/plain", 1)),
        Plan::Place { target: Target::SaveTo { .. }, .. }
    ));
}

#[test]
fn p29_a_value_stays_one_argument_whatever_is_in_it() {
    let rules = rules(&["/bin/h", "--name={name}", "{file}", "x{size}y", "{{{id}}}", "{from}:{type}"]);
    let name = "a b; $(rm -rf) `x` 'q' \".xml";
    let argv = argv(&rules, &envelope("shop-1", name, "t/{file}", 3));
    let id = MessageId([7; 16]);
    assert_eq!(argv.len(), 6);
    assert_eq!(argv[1], format!("--name={name}"));
    assert_eq!(argv[2], format!("/var/lib/towline/{id}/{name}"));
    assert_eq!(argv[3], "x3y");
    assert_eq!(argv[4], format!("{{{id}}}"));
    assert_eq!(argv[5], "shop-1:t/{file}", "a value is not expanded again");
    println!("p29: reached each value in exactly one argument");
}

#[test]
fn p29_an_argument_that_a_value_would_make_an_option_is_refused_before_the_start() {
    let sent = envelope("shop-1", "a.xml", "-rf", 3);
    let refused = rules(&["lp", "{type}"]).plan(&sent);
    assert!(matches!(refused, Plan::Refuse { code: Code::UnsafeArgument, .. }), "{refused:?}");
    assert_eq!(argv(&rules(&["lp", "--", "{type}"]), &sent)[2], "-rf");
    assert_eq!(argv(&rules(&["lp", "-t{type}"]), &sent)[1], "-t-rf");
    let joined = rules(&["lp", "{{}}--", "{type}"]).plan(&sent);
    assert!(matches!(joined, Plan::Refuse { .. }), "only a template that is exactly -- ends the options");
    println!("p29: reached 0 options made by a sender");
}

#[test]
fn bad_names_and_unknown_seals_are_refused_by_whoever_would_have_handled_them() {
    let rules = rules(&["lp", "{file}"]);
    let refused = rules.plan(&envelope("shop-1", "../a.xml", "", 3));
    assert!(matches!(&refused, Plan::Refuse { by, code: Code::BadName, .. } if by == "rule orders"), "{refused:?}");
    let mut sealed = envelope("web", "a", "", 3);
    sealed.seal = 1;
    assert!(matches!(rules.plan(&sealed), Plan::Refuse { code: Code::UnknownSeal, .. }));
}

#[test]
fn templates_are_checked_when_the_rules_are_read() {
    assert_eq!(check(&words(&["lp", "{file}", "{{x}}"])), Ok(()));
    assert_eq!(check(&[]), Err(BadTemplate::Empty));
    assert_eq!(check(&words(&[""])), Err(BadTemplate::Empty));
    assert_eq!(check(&words(&["{file}"])), Err(BadTemplate::Program));
    assert_eq!(check(&words(&["lp", "{files}"])), Err(BadTemplate::Unknown("files".into())));
    assert!(matches!(check(&words(&["lp", "{file"])), Err(BadTemplate::Brace(_))));
    assert!(matches!(check(&words(&["lp", "file}"])), Err(BadTemplate::Brace(_))));
}
