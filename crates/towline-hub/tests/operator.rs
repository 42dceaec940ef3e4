//! The operator's side of a hub: socket, health, metrics, lock, orderly end, a store that fails and recovers.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;
use towline::Ticket;
use towline_hub::admin::{Answer, CallError, Command, call};
use towline_hub::config::hub::HubConfig;
use towline_hub::store::FailurePlan;
use towline_hub::{Hub, RunningHub, StartError};

fn config(state: &Path) -> HubConfig {
    HubConfig {
        listen: vec!["127.0.0.1:0".into()],
        http: "127.0.0.1:0".into(),
        announce: vec!["hub.example:4433".into()],
        dev: true,
        ..HubConfig::new(state)
    }
}

async fn ask(hub: &RunningHub, command: Command) -> Answer {
    let path = hub.admin_socket().to_owned();
    tokio::task::spawn_blocking(move || call(&path, &command)).await.expect("runs").expect("answers")
}

async fn get(address: SocketAddr, path: &'static str) -> String {
    let ask = move || -> std::io::Result<String> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: hub\r\nConnection: close\r\n\r\n")?;
        let mut page = String::new();
        stream.read_to_string(&mut page).map(|_| page)
    };
    tokio::task::spawn_blocking(ask).await.expect("runs").expect("answers")
}

/// Asks for `path` until the answer holds `wanted`; the test's own time limit ends a wait that never does.
async fn wait_for(address: SocketAddr, path: &'static str, wanted: &str) -> String {
    loop {
        let page = get(address, path).await;
        if page.contains(wanted) {
            return page;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn invite(name: &str) -> Command {
    Command::Invite { name: name.into(), hosts: vec![] }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_invites_asks_and_ends_the_hub() {
    let state = tempfile::tempdir().expect("a folder");
    let hub = Hub::start(config(state.path())).await.expect("starts");
    let mode = std::fs::metadata(hub.admin_socket()).expect("a socket").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    let Answer::Ticket(made) = ask(&hub, invite("kitchen-7")).await else { panic!("a ticket") };
    let ticket: Ticket = made.ticket.parse().expect("a ticket");
    assert_eq!(
        (ticket.hub, ticket.name.as_str(), &ticket.hosts),
        (hub.key(), "kitchen-7", &vec!["hub.example:4433".into()])
    );
    assert!(matches!(ask(&hub, invite("../x")).await, Answer::No { code, .. } if code == "usage"));
    assert_eq!(ask(&hub, Command::Devices).await, Answer::Devices { devices: vec![] });
    let unknown = Command::Revoke { name: "nobody".into() };
    assert!(matches!(ask(&hub, unknown).await, Answer::No { code, .. } if code == "no-such-device"));
    let Answer::Stats(stats) = ask(&hub, Command::Stats).await else { panic!("numbers") };
    assert!(stats.open_policy && stats.commits > 0 && stats.outcomes.contains_key("handled"));

    assert_eq!(ask(&hub, Command::Shutdown).await, Answer::Done);
    hub.shutdown_requested().await;
    let socket = hub.admin_socket().to_owned();
    hub.shutdown().await;
    assert!(matches!(call(&socket, &Command::Devices), Err(CallError::NoHub { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_on_the_socket_is_answered_and_harms_nobody() {
    let state = tempfile::tempdir().expect("a folder");
    let hub = Hub::start(config(state.path())).await.expect("starts");
    let path = hub.admin_socket().to_owned();
    let answer = tokio::task::spawn_blocking(move || {
        let mut stream = std::os::unix::net::UnixStream::connect(path).expect("connects");
        stream.write_all(b"{\"command\":\"fly\"}\n\xff\xfe\n").expect("written");
        stream.shutdown(std::net::Shutdown::Write).expect("shut");
        let mut answers = String::new();
        stream.read_to_string(&mut answers).map(|_| answers).expect("read")
    });
    let answers = answer.await.expect("runs");
    assert_eq!(answers.lines().filter(|line| line.contains("\"usage\"")).count(), 2, "{answers}");
    assert!(matches!(ask(&hub, Command::Devices).await, Answer::Devices { .. }));
    hub.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn health_and_metrics_are_served() {
    let state = tempfile::tempdir().expect("a folder");
    let hub = Hub::start(config(state.path())).await.expect("starts");
    let address = hub.http_addr().expect("an address");
    assert!(get(address, "/healthz").await.starts_with("HTTP/1.1 200"));
    wait_for(address, "/readyz", "200 OK").await;
    ask(&hub, invite("a")).await;
    let page = get(address, "/metrics").await;
    for name in [
        "towline_sessions ",
        "towline_accepted_total ",
        "towline_commits_total 1",
        "towline_commit_seconds_bucket",
        "towline_memory_bound_bytes 1073741824",
        "towline_memory_held_bytes ",
        "towline_memory_level 0",
        "# EOF",
    ] {
        assert!(page.contains(name), "{name} is not in {page}");
    }
    hub.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hubs_do_not_share_a_folder() {
    let state = tempfile::tempdir().expect("a folder");
    let hub = Hub::start(config(state.path())).await.expect("starts");
    assert!(matches!(Hub::start(config(state.path())).await, Err(StartError::Running { .. })));
    hub.shutdown().await;
    Hub::start(config(state.path())).await.expect("the folder is free again").shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn p15_a_store_that_fails_is_told_and_serves_again_when_it_is_mended() {
    let state = tempfile::tempdir().expect("a folder");
    let plan = FailurePlan::never();
    let hub = Hub::start_with_failures(config(state.path()), plan.clone()).await.expect("starts");
    let address = hub.http_addr().expect("an address");
    wait_for(address, "/readyz", "200 OK").await;
    assert!(matches!(ask(&hub, invite("kept")).await, Answer::Ticket(_)));
    plan.fail_after(0);
    assert!(matches!(ask(&hub, invite("lost")).await, Answer::No { code, .. } if code == "hub-storage"));
    wait_for(address, "/readyz", "not ready: store").await;
    assert!(get(address, "/metrics").await.contains("towline_store_errors_total"));
    plan.mend();
    let mended = std::time::Instant::now();
    wait_for(address, "/readyz", "200 OK").await;
    println!("p15: reached serving {} ms after the store was mended", mended.elapsed().as_millis());
    assert!(matches!(ask(&hub, invite("after")).await, Answer::Ticket(_)));
    hub.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_mailbox_is_told_everywhere_until_somebody_has_looked_at_it() {
    let state = tempfile::tempdir().expect("a folder");
    let hub = Hub::start(config(state.path())).await.expect("starts");
    assert!(matches!(ask(&hub, invite("kitchen")).await, Answer::Ticket(_)));
    hub.shutdown().await;
    let mail = state.path().join("hub/mail.db");
    let mut bytes = std::fs::read(&mail).expect("read");
    // The schema's text: SQLite alone would find no table any more.
    let at = bytes.windows(12).position(|part| part == b"CREATE TABLE").expect("a schema");
    bytes[at] ^= 1;
    std::fs::write(&mail, bytes).expect("written");

    let hub = Hub::start(config(state.path())).await.expect("starts");
    let address = hub.http_addr().expect("an address");
    assert!(hub.damage().is_some_and(|damage| damage.lost == Some(0)), "{:?}", hub.damage());
    let kept = hub.set_aside().to_vec();
    assert!(kept.len() == 1 && kept[0].exists());
    wait_for(address, "/readyz", "200 OK").await;
    assert!(get(address, "/readyz").await.ends_with("ready, degraded: store-damaged\n"));
    let page = get(address, "/metrics").await;
    assert!(page.contains("towline_store_damage{word=\"structure\"} 0"), "{page}");
    assert!(page.contains("towline_store_set_aside 1"), "{page}");
    let Answer::Stats(stats) = ask(&hub, Command::Stats).await else { panic!("numbers") };
    assert_eq!(stats.set_aside, [kept[0].display().to_string()]);
    hub.shutdown().await;

    let hub = Hub::start(config(state.path())).await.expect("starts");
    assert!(hub.damage().is_none() && hub.set_aside() == kept, "it is whole, and still to be looked at");
    hub.shutdown().await;
    std::fs::rename(&kept[0], state.path().join("looked-at")).expect("moved");
    let hub = Hub::start(config(state.path())).await.expect("starts");
    let address = hub.http_addr().expect("an address");
    wait_for(address, "/readyz", "\r\n\r\nready\n").await;
    hub.shutdown().await;
}
