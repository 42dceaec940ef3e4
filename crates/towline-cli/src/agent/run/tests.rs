use super::*;
use std::os::unix::fs::PermissionsExt as _;
use towline_proto::mail::receipt::Receipt;

fn command(argv: &[&str]) -> Command {
    Command {
        argv: argv.iter().map(ToString::to_string).collect(),
        env: Vec::new(),
        input: Input::Null,
        timeout: Duration::from_secs(20),
        user: None,
    }
}

async fn run_it(command: &Command) -> Report {
    let (_keep, interrupt) = watch::channel(false);
    run(command, interrupt).await
}

/// Whether a process with this id still runs (a zombie does not).
fn alive(pid: &str) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| {
        let state = stat.rsplit(") ").next().and_then(|rest| rest.chars().next());
        !matches!(state, None | Some('Z' | 'X'))
    })
}

/// A script whose grandchild ignores SIGTERM, left in `dir/pids` with its parents.
fn stubborn(dir: &std::path::Path) -> Command {
    let script = dir.join("stubborn");
    let text = "#!/bin/sh\ntrap '' TERM\n(sh -c 'trap \"\" TERM; echo $$ >> \"$0\"; while :; do sleep 0.05; done' \"$1\" & wait) &\n\
                echo $$ >> \"$1\"\necho ready\nwait\nwhile :; do sleep 0.05; done\n";
    std::fs::write(&script, text).unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o700)).unwrap();
    command(&[script.to_str().unwrap(), dir.join("pids").to_str().unwrap()])
}

/// The ids that [`stubborn`] wrote, once there are two.
async fn pids(dir: &std::path::Path) -> Vec<String> {
    loop {
        let pids: Vec<String> =
            std::fs::read_to_string(dir.join("pids")).unwrap_or_default().lines().map(str::to_owned).collect();
        if pids.len() >= 2 {
            return pids;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn an_exit_code_and_the_output_come_back() {
    let report = run_it(&command(&["/bin/sh", "-c", "echo out; echo err >&2; exit 3"])).await;
    assert_eq!(report, Report { end: End::Exited(3), output: b"out\nerr\n".to_vec() });
}

#[tokio::test]
async fn a_signal_is_told_as_such() {
    let report = run_it(&command(&["/bin/sh", "-c", "kill -9 $$"])).await;
    assert_eq!(report.end, End::Signalled(9));
}

#[tokio::test]
async fn a_command_that_is_missing_or_may_not_run_never_started() {
    let home = tempfile::tempdir().unwrap();
    let plain = home.path().join("plain");
    std::fs::write(&plain, "not a program").unwrap();
    let missing = run_it(&command(&["/no/such/command"])).await.end;
    assert!(matches!(missing, End::NotStarted(io::ErrorKind::NotFound, _)), "{missing:?}");
    let plain = run_it(&command(&[plain.to_str().unwrap()])).await.end;
    assert!(matches!(plain, End::NotStarted(io::ErrorKind::PermissionDenied, _)), "{plain:?}");
    assert!(matches!(run_it(&command(&[])).await.end, End::NotStarted(..)));
    assert!(matches!(run_it(&command(&["/bin/true", "a\0b"])).await.end, End::NotStarted(..)));
}

#[tokio::test]
async fn only_the_last_bytes_of_much_output_are_kept() {
    let report = run_it(&command(&["/bin/sh", "-c", "yes 0123456 | head -c 1000000; printf end"])).await;
    assert_eq!(report.end, End::Exited(0));
    assert_eq!(report.output.len(), Receipt::MAX_OUTPUT_LEN);
    assert!(report.output.ends_with(b"end"));
}

#[tokio::test]
async fn the_body_may_be_standard_input() {
    let home = tempfile::tempdir().unwrap();
    let body = home.path().join("body");
    std::fs::write(&body, b"<a/>\r\n\xff").unwrap();
    let report = run_it(&Command { input: Input::File(body), ..command(&["/bin/cat"]) }).await;
    assert_eq!(report, Report { end: End::Exited(0), output: b"<a/>\r\n\xff".to_vec() });
}

#[tokio::test]
async fn p29_arguments_reach_the_command_as_they_are() {
    let hostile = ["; touch /tmp/x", "$(id)", "`id`", "a\nb", "-rf", "--", "'\"", "*", "|cat", "&", "Ü 漢", "", "%s%n"];
    let argv: Vec<&str> = ["/usr/bin/printf", "[%s]\\0"].into_iter().chain(hostile).collect();
    let report = run_it(&command(&argv)).await;
    let wanted: Vec<u8> = hostile.iter().flat_map(|argument| format!("[{argument}]\0").into_bytes()).collect();
    assert_eq!(report, Report { end: End::Exited(0), output: wanted });
}

#[tokio::test]
async fn p29_the_environment_carries_the_senders_words_unread() {
    let env = vec![("TOWLINE_NAME".to_owned(), "$(reboot);\n-x".to_owned())];
    let report = run_it(&Command { env, ..command(&["/usr/bin/env", "-0"]) }).await;
    let variables: Vec<&[u8]> = report.output.split(|&byte| byte == 0).collect();
    assert!(variables.contains(&b"TOWLINE_NAME=$(reboot);\n-x".as_slice()));
}

/// Waits until none of these runs any more: a kill is sent at once and takes effect when the kernel gets round to it.
async fn all_end(pids: Vec<String>) {
    while pids.iter().any(|pid| alive(pid)) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_timeout_ends_the_whole_group() {
    // On a busy machine the script may need more time to get under way.
    for patience_ms in (0..6).map(|doubled| 500 << doubled) {
        let home = tempfile::tempdir().unwrap();
        let report = run_it(&Command { timeout: Duration::from_millis(patience_ms), ..stubborn(home.path()) }).await;
        assert_eq!(report.end, End::TimedOut);
        if std::fs::read_to_string(home.path().join("pids")).is_ok_and(|pids| pids.lines().count() >= 2) {
            return all_end(pids(home.path()).await).await;
        }
    }
    panic!("the script never got under way");
}

#[tokio::test]
async fn an_interruption_ends_the_whole_group() {
    let home = tempfile::tempdir().unwrap();
    let (stop, interrupt) = watch::channel(false);
    let stubborn = stubborn(home.path());
    let (report, pids) = tokio::join!(run(&stubborn, interrupt), async {
        let pids = pids(home.path()).await;
        stop.send(true).unwrap();
        pids
    });
    assert_eq!(report.end, End::Interrupted);
    all_end(pids).await;
}

#[tokio::test]
async fn what_a_command_leaves_running_does_not_hold_its_report() {
    let report = run_it(&command(&["/bin/sh", "-c", "sleep 5 & echo done"])).await;
    assert_eq!(report, Report { end: End::Exited(0), output: b"done\n".to_vec() });
}
