//! Three network namespaces in a row: the hub's, a router, the device's. The router can stop forwarding, which loses
//! packets without a word to either end, as a cable cut elsewhere does.

use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// The hub's address.
pub const HUB: &str = "192.0.2.1";

/// The namespaces, removed when dropped.
pub struct Net {
    tag: String,
}

/// Short, since an interface's name has 15 bytes, and another one for each test of a process.
fn tag() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("t{:x}{:x}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

fn ip(args: &str) -> bool {
    Command::new("ip").args(args.split_whitespace()).output().is_ok_and(|output| output.status.success())
}

impl Net {
    /// Builds the row, or says why this machine cannot (not root, or no `ip`).
    pub fn build() -> Result<Self, &'static str> {
        let net = Self { tag: tag() };
        let t = &net.tag;
        if !ip(&format!("netns add {t}h")) {
            return Err("network namespaces cannot be made here (needs root and iproute2)");
        }
        let steps = [
            format!("netns add {t}r"),
            format!("netns add {t}d"),
            format!("link add {t}a netns {t}h type veth peer name {t}b netns {t}r"),
            format!("link add {t}c netns {t}r type veth peer name {t}e netns {t}d"),
            format!("-n {t}h addr add {HUB}/24 dev {t}a"),
            format!("-n {t}r addr add 192.0.2.2/24 dev {t}b"),
            format!("-n {t}r addr add 198.51.100.2/24 dev {t}c"),
            format!("-n {t}d addr add 198.51.100.1/24 dev {t}e"),
            format!("-n {t}h link set lo up"),
            format!("-n {t}h link set {t}a up"),
            format!("-n {t}r link set {t}b up"),
            format!("-n {t}r link set {t}c up"),
            format!("-n {t}d link set lo up"),
            format!("-n {t}d link set {t}e up"),
            format!("-n {t}h route add default via 192.0.2.2"),
            format!("-n {t}d route add default via 198.51.100.2"),
        ];
        if steps.iter().all(|step| ip(step)) && net.forward(true) {
            Ok(net)
        } else {
            Err("the namespaces could not be joined here")
        }
    }

    /// Lets packets through, or loses them.
    #[must_use]
    pub fn forward(&self, on: bool) -> bool {
        let set = format!("net.ipv4.ip_forward={}", u8::from(on));
        self.at_router(&["sysctl", "-qw", &set]).is_some()
    }

    /// Makes the router a NAT: the device's address is hidden, and nobody outside can open a connection to it.
    pub fn translate(&self) -> Result<(), &'static str> {
        let rules = format!(
            "table ip towline {{
                chain out {{ type nat hook postrouting priority 100; oifname \"{t}b\" masquerade; }}
                chain through {{ type filter hook forward priority 0; iifname \"{t}b\" ct state new drop; }}
            }}",
            t = self.tag
        );
        self.nft(&rules).map(drop).ok_or("a NAT cannot be made here (needs nftables)")
    }

    /// Makes the NAT forget a connection on which nothing was said for so long. What comes on a forgotten one is lost,
    /// whatever side it comes from.
    pub fn forget_after(&self, silence: Duration) -> Result<(), &'static str> {
        let rules = "table ip forgetful {
            chain through { type filter hook forward priority 1; ct state invalid drop; }
            chain in { type filter hook input priority 1; tcp dport != 0 drop; }
        }";
        let settings = [format!("tcp_timeout_established={}", silence.as_secs()), "tcp_loose=0".into()];
        let set = settings.iter().all(|setting| {
            self.at_router(&["sysctl", "-qw", &format!("net.netfilter.nf_conntrack_{setting}")]).is_some()
        });
        let done = set && self.nft(rules).is_some();
        done.then_some(()).ok_or("a NAT that forgets cannot be made here")
    }

    /// Loses a share of the packets, each way, by chance.
    pub fn lose(&self, percent: u32) -> Result<(), &'static str> {
        let rules = format!(
            "table ip loss {{
                chain through {{ type filter hook forward priority 2; numgen random mod 100 < {percent} counter drop; }}
            }}"
        );
        self.nft(&rules).map(drop).ok_or("packets cannot be lost by chance here (needs nftables)")
    }

    /// How many packets [`Net::lose`] has lost.
    pub fn lost(&self) -> u64 {
        let table = self.nft("list table ip loss").expect("the table is there");
        let (_, rest) = table.split_once("counter packets ").expect("it counts");
        rest.split_whitespace().next().and_then(|count| count.parse().ok()).expect("a number")
    }

    fn nft(&self, rules: &str) -> Option<String> {
        self.at_router(&["nft", rules])
    }

    /// Runs a command on the router; what it prints, if it succeeds.
    fn at_router(&self, command: &[&str]) -> Option<String> {
        let words = self.at('r');
        let output = Command::new(&words[0]).args(&words[1..]).args(command).output().ok()?;
        let said = String::from_utf8_lossy(&output.stderr);
        // A machine that cannot is one thing, a rule that nobody could obey another.
        assert!(!said.contains("syntax error"), "{command:?}: {said}");
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Gives the device another address, as a new lease does; what was open on the old one is dead.
    #[must_use]
    pub fn move_device(&self) -> bool {
        let t = &self.tag;
        ip(&format!("-n {t}d addr add 198.51.100.3/24 dev {t}e"))
            && ip(&format!("-n {t}d addr del 198.51.100.1/24 dev {t}e"))
            && ip(&format!("-n {t}d addr replace 198.51.100.3/24 dev {t}e"))
            && ip(&format!("-n {t}d route replace default via 198.51.100.2"))
    }

    /// Gives the device a second address and lets it speak from there from now on; what is open on the first one lives.
    #[must_use]
    pub fn prefer_second_address(&self) -> bool {
        let t = &self.tag;
        ip(&format!("-n {t}d addr add 198.51.100.3/24 dev {t}e"))
            && ip(&format!("-n {t}d route replace default via 198.51.100.2 src 198.51.100.3"))
    }

    /// Loses everything from the device's second address, or lets it through again.
    #[must_use]
    pub fn block_second_address(&self, block: bool) -> bool {
        let rules = if block {
            "table ip block {
                chain through { type filter hook forward priority 3; ip saddr 198.51.100.3 drop; }
            }"
        } else {
            "delete table ip block"
        };
        self.nft(rules).is_some()
    }

    /// What stands ahead of a command that runs beside the hub.
    pub fn at_hub(&self) -> Vec<String> {
        self.at('h')
    }

    /// What stands ahead of a command that runs on the device.
    pub fn at_device(&self) -> Vec<String> {
        self.at('d')
    }

    fn at(&self, side: char) -> Vec<String> {
        ["ip", "netns", "exec"].iter().map(|word| word.to_string()).chain([format!("{}{side}", self.tag)]).collect()
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        for side in ['h', 'r', 'd'] {
            ip(&format!("netns del {}{side}", self.tag));
        }
    }
}
