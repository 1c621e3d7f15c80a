//! Accounts that can be logged in to: those of `/etc/passwd` with a login shell or uid 0, and whether there are others.
//!
//! Password hashes do not leave this file: of `/etc/shadow` only the state of each password is told.

use evidenced_collector_api::Resource;
use std::collections::{BTreeMap, BTreeSet};

use crate::inspection::Inspection;

/// Databases whose accounts are all in `/etc/passwd`, or (systemd) have no login shell.
const COVERED: &[&str] = &["files", "systemd"];
/// Databases on this machine, but elsewhere.
const LOCAL: &[&str] = &["db", "altfiles", "extrausers", "mymachines"];

/// What `host.account_sources` tells.
pub(crate) const SOURCE_ATTRIBUTES: &[&str] = &["databases", "local_only"];

#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    name: String,
    password: String,
    uid: u32,
    gid: u32,
    home: String,
    shell: String,
}

impl Entry {
    /// `nologin` and `false` refuse; anything else lets in, listed in `/etc/shells` or not.
    fn login_shell(&self) -> bool {
        !matches!(self.shell.rsplit('/').next(), Some("nologin" | "false"))
    }
}

/// The name of a user by its id, for the caller of the provenance.
pub(crate) fn name_of(inspection: &mut Inspection<'_>, uid: u32) -> Option<String> {
    let (entries, _) = entries(&inspection.read("/etc/passwd").answer.ok()?);
    Some(entries.into_iter().find(|entry| entry.uid == uid)?.name)
}

pub(crate) fn resources(inspection: &mut Inspection<'_>) -> Vec<Resource> {
    let passwd = inspection.read("/etc/passwd");
    let shells = inspection.read("/etc/shells");
    let shadow = inspection.read_secret("/etc/shadow");
    let mut resources = vec![sources(inspection)];
    let entries = match passwd.known() {
        Ok(text) => {
            let (entries, odd) = entries(text);
            if odd > 0 || !entries.iter().any(|entry| entry.uid == 0) {
                inspection.shortfalls.push(format!(
                    "{} holds lines that are not understood, or no uid 0",
                    passwd.what
                ));
            }
            inspection.counted(passwd.call, entries.len());
            let kept = without_hashes(text);
            if kept != *text {
                inspection.removed(passwd.call, "password hashes");
            }
            inspection.keep(passwd.call, kept);
            entries
        }
        Err(reason) => {
            inspection.shortfalls.push(reason);
            Vec::new()
        }
    };
    let listed = shells
        .known()
        .map(|text| text.lines().map(str::trim).collect::<BTreeSet<_>>());
    let states = shadow.known().map(|text| password_states(text));
    let mut seen = BTreeMap::new();
    for entry in entries
        .iter()
        .filter(|entry| entry.login_shell() || entry.uid == 0)
    {
        // A name that stands twice is an error of the file, and worth seeing.
        let times = seen
            .entry(&entry.name)
            .and_modify(|times| *times += 1)
            .or_insert(1);
        let id = if *times == 1 {
            entry.name.clone()
        } else {
            format!("{} ({times})", entry.name)
        };
        let mut resource = Resource::new("host.account", id, &entry.name, passwd.call)
            .with("uid", entry.uid)
            .with("gid", entry.gid)
            .with("login_shell", entry.login_shell())
            .with("shell", entry.shell.as_str())
            .with_result(
                "shell_listed",
                listed
                    .as_ref()
                    .map(|shells| shells.contains(entry.shell.as_str()))
                    .map_err(Clone::clone),
            )
            .with("home", entry.home.as_str())
            .with("source", "passwd")
            .with_result("password_state", password_state(entry, states.as_ref()));
        resource.call.extend([shells.call, shadow.call]);
        resources.push(resource);
    }
    resources
}

/// Where the system looks for accounts, and so whether `/etc/passwd` holds them all.
pub(crate) fn sources(inspection: &mut Inspection<'_>) -> Resource {
    let mut file = inspection.read("/etc/nsswitch.conf");
    let mut calls = vec![file.call];
    if file.is_absent() {
        file = inspection.read("/usr/etc/nsswitch.conf");
        calls.push(file.call);
    }
    let databases = if file.is_absent() {
        Ok(vec!["files".to_owned()])
    } else {
        file.known()
            .and_then(|text| databases(text).ok_or_else(|| format!("{}: no line for passwd", file.what)))
    };
    // Some distributions list sss for everybody; without a configuration it answers nothing.
    let sssd = inspection.read_secret("/etc/sssd/sssd.conf");
    let parts = inspection.list("/etc/sssd/conf.d");
    calls.extend([sssd.call, parts.call]);
    let configured = if sssd.answer.is_ok() || parts.answer.as_ref().is_ok_and(|names| !names.is_empty()) {
        Ok(true)
    } else if sssd.is_absent() {
        parts
            .known()
            .map(|_| false)
            .or_else(|reason| if parts.is_absent() { Ok(false) } else { Err(reason) })
    } else {
        sssd.known().map(|_| true)
    };
    let passwd = inspection.read("/etc/passwd");
    calls.push(passwd.call);
    let compat_directory = passwd
        .answer
        .is_ok_and(|text| text.lines().any(|line| line.starts_with('+')));
    let uncovered = databases.as_ref().map_err(Clone::clone).and_then(|databases| {
        let mut uncovered = Vec::new();
        for name in databases {
            let more = match name.as_str() {
                "compat" => compat_directory,
                "sss" => configured.clone()?,
                other => !COVERED.contains(&other),
            };
            uncovered.extend(more.then(|| name.clone()));
        }
        Ok(uncovered)
    });
    match &uncovered {
        Ok(names) if names.is_empty() => {}
        Ok(names) => inspection.shortfalls.push(format!(
            "accounts also come from {}, and those are not in /etc/passwd",
            names.join(", ")
        )),
        Err(reason) => inspection.shortfalls.push(reason.clone()),
    }
    let local = uncovered.map(|names| names.iter().all(|name| LOCAL.contains(&name.as_str())));
    let mut resource = Resource::new("host.account_sources", "nsswitch", "account databases", calls[0])
        .with_result("databases", databases)
        .with_result("local_only", local);
    resource.call = calls;
    resource
}

/// The databases of nsswitch.conf's passwd line, actions in brackets left out.
fn databases(text: &str) -> Option<Vec<String>> {
    let line = text
        .lines()
        .map(|line| line.split('#').next().unwrap_or_default().trim())
        .find_map(|line| line.strip_prefix("passwd")?.trim_start().strip_prefix(':'))?;
    let mut depth = 0usize;
    let plain: String = line
        .chars()
        .filter(|&c| {
            depth += usize::from(c == '[');
            let keep = depth == 0;
            depth -= usize::from(c == ']' && depth > 0);
            keep
        })
        .collect();
    let names: Vec<_> = plain.split_whitespace().map(str::to_owned).collect();
    (!names.is_empty()).then_some(names)
}

/// The entries in order, and how many lines were not understood. Lines of the compat database count as neither.
fn entries(text: &str) -> (Vec<Entry>, usize) {
    let mut odd = 0;
    let entries = text
        .lines()
        .filter(|line| !line.trim().is_empty() && !line.starts_with(['#', '+', '-']))
        .filter_map(|line| {
            let entry = entry(line);
            odd += usize::from(entry.is_none());
            entry
        })
        .collect();
    (entries, odd)
}

fn entry(line: &str) -> Option<Entry> {
    let fields: Vec<_> = line.split(':').collect();
    let [name, password, uid, gid, _, home, shell] = fields[..] else {
        return None;
    };
    let shell = if shell.is_empty() { "/bin/sh" } else { shell };
    (!name.is_empty()).then_some(Entry {
        name: name.to_owned(),
        password: password.to_owned(),
        uid: uid.parse().ok()?,
        gid: gid.parse().ok()?,
        home: home.to_owned(),
        shell: shell.to_owned(),
    })
}

fn password_states(shadow: &str) -> BTreeMap<String, &'static str> {
    shadow
        .lines()
        .filter_map(|line| {
            let mut fields = line.split(':');
            Some((fields.next()?.to_owned(), state_of(fields.next()?)))
        })
        .collect()
}

fn state_of(field: &str) -> &'static str {
    match field.chars().next() {
        None => "none",
        Some('!' | '*') => "locked",
        Some(_) => "set",
    }
}

fn password_state(
    entry: &Entry,
    states: Result<&BTreeMap<String, &'static str>, &String>,
) -> Result<&'static str, String> {
    if entry.password != "x" {
        return Ok(state_of(&entry.password));
    }
    states
        .map_err(Clone::clone)?
        .get(&entry.name)
        .copied()
        .ok_or_else(|| "/etc/shadow: has no line for this account".to_owned())
}

/// passwd as read, a hash in place of the usual `x` removed.
fn without_hashes(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        match line.splitn(3, ':').collect::<Vec<_>>()[..] {
            [name, password, rest] if !matches!(password, "" | "x" | "*" | "!" | "!!") => {
                kept.push_str(name);
                kept.push_str(":[removed]:");
                kept.push_str(rest);
            }
            _ => kept.push_str(line),
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nologin_and_false_refuse_and_every_other_shell_lets_in() {
        let text = "root:x:0:0:root:/root:/bin/bash\nd:x:1:1::/:/usr/sbin/nologin\ns:x:4:65534::/bin:/bin/sync\ne:x:5:5::/:\n";
        let (entries, odd) = entries(text);
        assert_eq!(odd, 0);
        let login: Vec<_> = entries
            .iter()
            .filter(|entry| entry.login_shell())
            .map(|entry| entry.name.as_str())
            .collect();
        assert_eq!(login, ["root", "s", "e"]);
    }

    #[test]
    fn lines_that_are_not_entries_are_counted_and_compat_lines_are_not() {
        assert_eq!(entries("what\nx:x:-1:0::/:/bin/sh\n+::::::\n\n"), (Vec::new(), 2));
    }

    #[test]
    fn a_password_is_locked_set_or_none_and_never_shown() {
        assert_eq!(state_of("!$y$abc"), "locked");
        assert_eq!(state_of("*"), "locked");
        assert_eq!(state_of(""), "none");
        assert_eq!(state_of("$y$abc"), "set");
        let raw = without_hashes("a:$6$hash:1:1::/:/bin/sh\nb:x:2:2::/:/bin/sh\nodd\n");
        assert_eq!(raw, "a:[removed]:1:1::/:/bin/sh\nb:x:2:2::/:/bin/sh\nodd\n");
    }

    #[test]
    fn databases_are_read_without_their_actions_and_comments() {
        let text = "# passwd: nis\npasswd:  sss [NOTFOUND=return status=x] files systemd # why\n";
        assert_eq!(databases(text).unwrap(), ["sss", "files", "systemd"]);
        assert_eq!(databases("group: files\n"), None);
    }
}
