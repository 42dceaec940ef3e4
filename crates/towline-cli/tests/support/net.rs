//! Three network namespaces in a row: the hub's, a router, the device's. The router can stop forwarding, which loses
//! packets without a word to either end, as a cable cut elsewhere does.

use std::process::Command;

/// The hub's address.
pub(crate) const HUB: &str = "192.0.2.1";

/// The namespaces, removed when dropped.
pub(crate) struct Net {
    tag: String,
}

fn ip(args: &str) -> bool {
    Command::new("ip").args(args.split_whitespace()).output().is_ok_and(|output| output.status.success())
}

impl Net {
    /// Builds the row, or says why this machine cannot (not root, or no `ip`).
    pub(crate) fn build() -> Result<Self, &'static str> {
        let net = Self { tag: format!("tl{}", std::process::id()) };
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
    pub(crate) fn forward(&self, on: bool) -> bool {
        let set = format!("net.ipv4.ip_forward={}", u8::from(on));
        let args = ["netns", "exec", &format!("{}r", self.tag), "sysctl", "-qw", &set];
        Command::new("ip").args(args).status().is_ok_and(|status| status.success())
    }

    /// What stands ahead of a command that runs beside the hub.
    pub(crate) fn at_hub(&self) -> Vec<String> {
        self.at('h')
    }

    /// What stands ahead of a command that runs on the device.
    pub(crate) fn at_device(&self) -> Vec<String> {
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
