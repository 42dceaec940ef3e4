use super::*;
use crate::config::origin::Origin;
use std::path::Path;

fn file(text: &str) -> Result<Layers, ConfigError> {
    Layers::new(OPTIONS).with_file::<HubConfig>(Path::new("hub.toml"), text)
}

fn value(resolved: &Resolved, option: &str) -> (String, String) {
    let setting = resolved.settings.iter().find(|setting| setting.option == option).expect("the option");
    (setting.value.clone(), setting.origin.to_string())
}

#[test]
fn the_table_of_options_holds_the_defaults() {
    let (read, settings) = Layers::new(OPTIONS).read::<HubConfig>().expect("the defaults are valid");
    assert_eq!(read, HubConfig::default());
    assert_eq!(settings.len(), OPTIONS.len());
}

#[test]
fn a_flag_wins_over_the_environment_over_the_file_over_the_default() {
    let text =
        "state = '/s'\nhttp = '127.0.0.1:1'\nmax_body = '1MiB'\ndefault_deadline = '5m'\n[quota]\nmessages = 5\n";
    let environment = |name: &str| match name {
        "TOWLINE_HUB_HTTP" => Some("127.0.0.1:2".to_owned()),
        "TOWLINE_HUB_MAX_BODY" => Some("2MiB".to_owned()),
        _ => None,
    };
    let layers = file(text).and_then(|layers| layers.with_environment(environment)).expect("layers");
    let layers = layers.with_text("max_body", "3MiB", Origin::Flag).expect("an option");
    let resolved = HubConfig::resolve(layers).expect("valid");
    assert_eq!(resolved.config.max_body, Size(3 << 20));
    assert_eq!(resolved.config.http, "127.0.0.1:2");
    assert_eq!(resolved.config.quota.messages, 5);
    assert_eq!(resolved.config.quota.device_messages, limits::MAX_UNDECIDED_PER_RECIPIENT);
    assert_eq!(value(&resolved, "max_body"), ("\"3MiB\"".into(), "flag".into()));
    assert_eq!(value(&resolved, "http"), ("\"127.0.0.1:2\"".into(), "$TOWLINE_HUB_HTTP".into()));
    assert_eq!(value(&resolved, "default_deadline"), ("\"5m\"".into(), "hub.toml:4".into()));
    assert_eq!(value(&resolved, "quota.messages"), ("5".into(), "hub.toml:6".into()));
    assert_eq!(value(&resolved, "keep_failed"), ("\"7d\"".into(), "default".into()));
}

#[test]
fn a_misspelt_key_has_its_line_and_a_suggestion() {
    let error = file("listen = []\n[quota]\ndevice_mesages = 1\n").expect_err("misspelt");
    assert_eq!(error.to_string(), "hub.toml:3: unknown key `device_mesages`, did you mean `device_messages`?");
}

#[test]
fn a_value_that_is_no_duration_has_its_line_or_its_variable() {
    let error = file("drain = '5 minutes'\n").expect_err("no duration");
    assert_eq!((error.line, error.message.contains("is no duration")), (Some(1), true), "{error}");
    let layers = Layers::new(OPTIONS).with_text("drain", "soon", Origin::Environment("TOWLINE_HUB_DRAIN".into()));
    let error = HubConfig::resolve(layers.expect("text")).expect_err("no duration");
    assert!(error.to_string().starts_with("$TOWLINE_HUB_DRAIN: `drain`: "), "{error}");
}

#[test]
fn post_quantum_is_required_unless_the_file_says_prefer() {
    let read = |text: &str| HubConfig::resolve(file(text).expect("strict"));
    assert_eq!(read("state = '/s'").expect("valid").config.pq.0, towline::PostQuantum::Require);
    let resolved = read("state = '/s'\npq = 'prefer'").expect("valid");
    assert_eq!(resolved.config.pq.0, towline::PostQuantum::Prefer);
    assert_eq!(value(&resolved, "pq"), ("\"prefer\"".into(), "hub.toml:2".into()));
    let error = file("state = '/s'\npq = 'no'").expect_err("neither");
    assert_eq!(error.line, Some(2));
    assert!(error.message.contains("neither `require` nor `prefer`"), "{error}");
}

#[test]
fn what_contradicts_itself_is_refused() {
    for (text, wanted) in [
        ("state = '/s'\nlisten = []", "listen"),
        ("", "state"),
        ("state = '/s'\nlisten = ['127.0.0.1']", "`listen`: \"127.0.0.1\" is not HOST:PORT"),
        ("state = '/s'\nlisten = ['::1:4433']", "`listen`: \"::1:4433\" is not HOST:PORT"),
        ("state = '/s'\nhttp = 'on'", "`http`: \"on\" is not HOST:PORT"),
        ("state = '/s'\nannounce = ['hub.example:70000']", "`announce`: \"hub.example:70000\" is not HOST:PORT"),
        ("state = '/s'\n[groups]\ntills = ['a']\n[[allow]]\nfrom = ['b']\nto = ['@tils']", "did you mean @tills?"),
        ("state = '/s'\nmax_deadline = '1m'", "above"),
        ("state = '/s'\nprobe_period = '499ms'", "`probe_period` is 499ms; it must be 500ms to 5m"),
        ("state = '/s'\nprobe_period = '5m1ms'", "probe_period"),
        ("state = '/s'\n[[allow]]\nfrom = ['@shop']\nto = ['b']", "@shop"),
        ("state = '/s'\n[[allow]]\nfrom = ['a']\nto = ['b']\nlanes = ['fast']", "lane"),
    ] {
        let error = HubConfig::resolve(file(text).expect("strict")).expect_err(text);
        assert!(error.message.contains(wanted), "{error}");
    }
}

#[test]
fn groups_and_allow_entries_become_the_policy() {
    let text = "state = '/s'\n[groups]\nkitchens = ['kitchen-*']\n[[allow]]\nfrom = ['shop']\nto = ['@kitchens']\nlanes = ['normal']\n";
    let config = HubConfig::resolve(file(text).expect("strict")).expect("valid").config;
    let policy = config.policy().expect("lanes");
    let judge = |lane| policy.judge(&"shop".parse().unwrap(), &"kitchen-7".parse().unwrap(), lane).is_allowed();
    assert!(judge(Lane::NORMAL) && !judge(Lane::BULK));
}

#[test]
fn memory_that_has_no_room_for_the_largest_message_is_refused() {
    let with = |memory: &str| {
        let layers = file(&format!("state = '/s'\nmemory = '{memory}'\n")).expect("a size");
        HubConfig::resolve(layers).map(|resolved| resolved.config.memory)
    };
    assert_eq!(with("8MiB").expect("just enough"), Size(8 << 20));
    let error = with("8191KiB").expect_err("one step too small").to_string();
    assert!(error.contains("`memory`") && error.contains("at least 8388608"), "{error}");
}
