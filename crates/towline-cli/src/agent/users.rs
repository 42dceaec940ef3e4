//! Somebody else to run a command as.

use super::run::User;

/// Where the system lists its users.
const PASSWD: &str = "/etc/passwd";

/// Finds `user` (a name of `/etc/passwd`, or `UID:GID`). Only root may run a command as somebody else.
pub(crate) fn other(user: &str) -> Result<User, String> {
    let passwd = std::fs::read_to_string(PASSWD).unwrap_or_default();
    let found = numbers(user)
        .or_else(|| listed(&passwd, user))
        .ok_or_else(|| format!("there is no user `{user}` in {PASSWD}; give UID:GID for one from elsewhere"))?;
    let own = rustix::process::geteuid().as_raw();
    if own != 0 && own != found.uid {
        return Err(format!("`user = \"{user}\"` needs an agent that runs as root"));
    }
    Ok(found)
}

fn numbers(text: &str) -> Option<User> {
    let (uid, gid) = text.split_once(':')?;
    Some(User { uid: uid.parse().ok()?, gid: gid.parse().ok()? })
}

/// The line `name:password:uid:gid:…`.
fn listed(passwd: &str, name: &str) -> Option<User> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let same = fields.next() == Some(name);
        let (uid, gid) = (fields.nth(1)?, fields.next()?);
        same.then(|| numbers(&format!("{uid}:{gid}"))).flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_found_by_name_or_number() {
        let passwd = "root:x:0:0:root:/root:/bin/bash\nlp:x:7:9:lp:/var/spool/lpd:/usr/sbin/nologin\n";
        assert_eq!(listed(passwd, "lp"), Some(User { uid: 7, gid: 9 }));
        assert_eq!(listed(passwd, "l"), None);
        assert_eq!(numbers("33:34"), Some(User { uid: 33, gid: 34 }));
        assert!(other("no-such-user").is_err());
    }
}
