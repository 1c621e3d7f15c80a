//! The SSH server's effective settings, as `sshd -T` prints them.
//!
//! They are what a server started now would keep: one that has been running since before a change, keeps the old
//! until it is reloaded. Other servers than OpenSSH show as listeners only.

use evidenced_collector_api::Resource;
use serde_json::Value;
use std::collections::BTreeMap;

use crate::inspection::Inspection;
use crate::match_blocks::{self, MatchBlocks};
use crate::processes::Processes;

const CONFIGURATION: &str = "/etc/ssh/sshd_config";

#[derive(Clone, Copy)]
enum Form {
    Word,
    Flag,
    Number,
}

/// Attribute, sshd's keywords for it (the first is the one it prints), and its form.
const SETTINGS: &[(&str, &[&str], Form)] = &[
    ("permit_root_login", &["permitrootlogin"], Form::Word),
    ("password_authentication", &["passwordauthentication"], Form::Flag),
    (
        "kbd_interactive_authentication",
        &[
            "kbdinteractiveauthentication",
            "challengeresponseauthentication",
            "skeyauthentication",
        ],
        Form::Flag,
    ),
    ("pubkey_authentication", &["pubkeyauthentication"], Form::Flag),
    ("permit_empty_passwords", &["permitemptypasswords"], Form::Flag),
    ("max_auth_tries", &["maxauthtries"], Form::Number),
    ("x11_forwarding", &["x11forwarding"], Form::Flag),
];

/// What `host.sshd` tells of an installed server.
pub(crate) fn attributes() -> Vec<&'static str> {
    let own = [
        "installed",
        "running",
        "running_how",
        "match_blocks",
        "match_settings",
    ];
    own.into_iter()
        .chain(SETTINGS.iter().map(|(attribute, ..)| *attribute))
        .collect()
}

pub(crate) async fn resource(inspection: &mut Inspection<'_>, processes: &Processes) -> Resource {
    let mut resource = Resource::new("host.sshd", "sshd", "sshd", processes.call);
    let daemon = daemon(processes);
    let installed = installed(inspection, &mut resource.call, daemon.is_some());
    if installed == Ok(false) {
        return resource.with("installed", false);
    }
    let running = running(inspection, &mut resource.call, processes, daemon.is_some()).await;
    let (running, how) = match running {
        Ok((running, how)) => (Ok(running), Ok(how)),
        Err(reason) => (Err(reason.clone()), Err(reason)),
    };
    let effective = effective(inspection, &mut resource.call).await;
    let blocks = match_blocks::read(inspection, &mut resource.call, CONFIGURATION);
    resource = resource
        .with_result("installed", installed)
        .with_result("running", running)
        .with_result("running_how", how)
        .with_result(
            "match_blocks",
            blocks.as_ref().map(|blocks| blocks.count).map_err(Clone::clone),
        )
        .with_result("match_settings", match_settings(&blocks));
    for (attribute, keywords, form) in SETTINGS {
        let value = started_with(daemon, keywords)
            .and_then(|()| setting(effective.as_ref(), keywords[0], *form))
            .and_then(|value| same_for_all(value, blocks.as_ref(), keywords, *form));
        resource = resource.with_result(*attribute, value);
    }
    resource
}

/// The arguments of the listening sshd; its sessions are named alike.
fn daemon(processes: &Processes) -> Option<&[String]> {
    let server = |arguments: &[String]| {
        let first = arguments.first().map(String::as_str).unwrap_or_default();
        let program = first.split(' ').next().unwrap_or_default();
        arguments.iter().any(|part| part.contains("[listener]"))
            || program == "sshd"
            || program.ends_with("/sshd")
    };
    processes
        .running
        .iter()
        .find(|process| process.name == "sshd" && server(&process.arguments))
        .map(|process| process.arguments.as_slice())
}

fn installed(inspection: &mut Inspection<'_>, calls: &mut Vec<usize>, runs: bool) -> Result<bool, String> {
    let mut installed = Ok(runs);
    for path in ["/usr/sbin/sshd", "/usr/bin/sshd"] {
        let program = inspection.modified(path);
        calls.push(program.call);
        match program.known() {
            Ok(_) => return Ok(true),
            Err(_) if program.is_absent() => {}
            Err(reason) if installed == Ok(false) => installed = Err(reason),
            Err(_) => {}
        }
    }
    installed
}

async fn running(
    inspection: &mut Inspection<'_>,
    calls: &mut Vec<usize>,
    processes: &Processes,
    daemon: bool,
) -> Result<(bool, String), String> {
    if daemon {
        return Ok((true, "process".to_owned()));
    }
    let sockets = inspection
        .command("systemctl", &["is-active", "ssh.socket", "sshd.socket"], 10)
        .await;
    calls.push(sockets.call);
    let active = match &sockets.answer {
        Ok(output) => {
            let text = String::from_utf8_lossy(&output.stdout);
            if text.lines().any(|line| line == "active") {
                return Ok((true, "socket activation".to_owned()));
            }
            // Without systemd there is no socket activation, and it prints no state.
            Ok(())
        }
        Err(_) if sockets.is_absent() => Ok(()),
        Err(_) => sockets.known().map(|_| ()),
    };
    match &processes.hidden {
        Some(reason) => Err(reason.clone()),
        None => active.map(|()| (false, "no process, no active socket".to_owned())),
    }
}

async fn effective(
    inspection: &mut Inspection<'_>,
    calls: &mut Vec<usize>,
) -> Result<BTreeMap<String, String>, String> {
    if inspection.machine.identity().uid != 0 {
        return Err("sshd -T needs root".to_owned());
    }
    let printed = inspection.command("sshd", &["-T"], 15).await;
    calls.push(printed.call);
    let text = printed.success()?;
    inspection.keep(printed.call, text.as_str());
    let mut settings = BTreeMap::new();
    for (keyword, value) in text.lines().filter_map(|line| line.split_once(' ')) {
        settings
            .entry(keyword.to_owned())
            .or_insert_with(|| value.to_owned());
    }
    Ok(settings)
}

fn setting(
    effective: Result<&BTreeMap<String, String>, &String>,
    keyword: &str,
    form: Form,
) -> Result<Value, String> {
    let text = effective
        .map_err(Clone::clone)?
        .get(keyword)
        .ok_or_else(|| format!("sshd -T does not print {keyword}"))?;
    value(text, form).ok_or_else(|| format!("sshd -T prints a {keyword} that is not understood"))
}

fn value(text: &str, form: Form) -> Option<Value> {
    let text = text.trim().to_ascii_lowercase();
    match form {
        Form::Flag => match text.as_str() {
            "yes" => Some(true.into()),
            "no" => Some(false.into()),
            _ => None,
        },
        Form::Number => text.parse::<u32>().ok().map(Value::from),
        Form::Word => match text.as_str() {
            "without-password" => Some("prohibit-password".into()),
            "yes" | "no" | "prohibit-password" | "forced-commands-only" => Some(text.into()),
            _ => None,
        },
    }
}

/// Options on the server's own command line outrank its configuration.
fn started_with(daemon: Option<&[String]>, keywords: &[&str]) -> Result<(), String> {
    let line = daemon.unwrap_or_default().join(" ");
    let mut words = line.split(' ').peekable();
    while let Some(word) = words.next() {
        if word.starts_with("-f") {
            return Err("the running sshd was started with another configuration (-f)".to_owned());
        }
        let Some(option) = word.strip_prefix("-o") else {
            continue;
        };
        let option = if option.is_empty() {
            words.peek().copied().unwrap_or_default()
        } else {
            option
        };
        let keyword = option.split('=').next().unwrap_or_default().to_ascii_lowercase();
        if keywords.contains(&keyword.as_str()) {
            return Err(format!("the running sshd was started with -o {keyword}"));
        }
    }
    Ok(())
}

/// Unknown where a Match block sets something else: then it depends on the connection.
fn same_for_all(
    effective: Value,
    blocks: Result<&MatchBlocks, &String>,
    keywords: &[&str],
    form: Form,
) -> Result<Value, String> {
    let blocks = blocks.map_err(|reason| format!("Match blocks could not be read: {reason}"))?;
    let differs = blocks
        .settings
        .iter()
        .filter(|(keyword, _)| keywords.contains(&keyword.as_str()))
        .any(|(_, text)| value(text, form).as_ref() != Some(&effective));
    if differs {
        Err(format!(
            "a Match block sets {}: it depends on the connection",
            keywords[0]
        ))
    } else {
        Ok(effective)
    }
}

fn match_settings(blocks: &Result<MatchBlocks, String>) -> Result<Vec<String>, String> {
    let mut lines: Vec<_> = blocks
        .as_ref()
        .map_err(Clone::clone)?
        .settings
        .iter()
        .filter(|(keyword, _)| {
            SETTINGS
                .iter()
                .any(|(_, keywords, _)| keywords.contains(&keyword.as_str()))
        })
        .map(|(keyword, value)| format!("{keyword} {value}"))
        .collect();
    lines.sort_unstable();
    lines.dedup();
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(line: &str) -> Vec<String> {
        vec![line.to_owned()]
    }

    #[test]
    fn values_are_read_by_their_form_and_others_refused() {
        assert_eq!(
            value("without-password", Form::Word).unwrap(),
            "prohibit-password"
        );
        assert_eq!(value("YES", Form::Flag).unwrap(), true);
        assert_eq!(value("6", Form::Number).unwrap(), 6);
        assert_eq!(value("maybe", Form::Flag), None);
        assert_eq!(value("sometimes", Form::Word), None);
    }

    #[test]
    fn the_servers_own_options_make_their_settings_unknown() {
        let line = arguments(
            "sshd: /usr/sbin/sshd -D -oCiphers=x -o PermitRootLogin=yes [listener] 0 of 10-100 startups",
        );
        assert!(started_with(Some(&line), &["permitrootlogin"]).is_err());
        assert!(started_with(Some(&line), &["passwordauthentication"]).is_ok());
        assert!(started_with(Some(&arguments("sshd: sshd -f /x [listener]")), &["maxauthtries"]).is_err());
    }

    #[test]
    fn a_match_block_that_repeats_the_setting_leaves_it_known() {
        let blocks = MatchBlocks {
            count: 1,
            settings: vec![("permitrootlogin".into(), "no".into())],
        };
        let same = same_for_all("no".into(), Ok(&blocks), &["permitrootlogin"], Form::Word);
        assert_eq!(same.unwrap(), "no");
        assert!(same_for_all("yes".into(), Ok(&blocks), &["permitrootlogin"], Form::Word).is_err());
    }
}
