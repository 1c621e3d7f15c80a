//! What `host.baseline` needs, tried out, for the operator.

use evidenced_collector_api::Run;

use crate::container;
use crate::inspection::Inspection;
use crate::machine::Machine;
use crate::processes::Processes;
use crate::{accounts, os, ssh, time, updates};

type Line = (String, Result<String, String>);

pub(crate) async fn tried(machine: &dyn Machine, run: &Run<'_>) -> Vec<Line> {
    let mut inspection = Inspection::begin(machine, run);
    let confinement = container::detect(&mut inspection);
    let uid = machine.identity().uid;
    let mut lines = vec![
        line(
            "run as root",
            if uid == 0 {
                Ok("yes".to_owned())
            } else {
                Err(format!(
                    "uid {uid}: password states, sshd's settings and sockets' owners stay unknown; run as root to know them"
                ))
            },
        ),
        line(
            "see the host, not a container",
            confinement.obstacle().map_or_else(
                || Ok("no container".to_owned()),
                |reason| Err(format!("{reason}; run evidenced on the host itself")),
            ),
        ),
    ];
    if confinement.obstacle().is_some() {
        return lines;
    }
    let system = os::system(&mut inspection, "host", &confinement).await;
    let processes = Processes::read(&mut inspection);
    lines.push(line(
        "see all processes",
        processes.hidden.clone().map_or_else(
            || Ok("yes".to_owned()),
            |reason| Err(format!("{reason}; mount /proc without hidepid for this user")),
        ),
    ));
    let sources = accounts::sources(&mut inspection);
    lines.push(fact(
        &sources,
        "account databases",
        "databases",
        "make /etc/nsswitch.conf readable",
    ));
    let sshd = ssh::resource(&mut inspection, &processes).await;
    if sshd
        .attributes
        .get("installed")
        .and_then(serde_json::Value::as_bool)
        == Some(false)
    {
        lines.push(line("sshd -T", Ok("no sshd installed".to_owned())));
    } else {
        lines.push(fact(
            &sshd,
            "sshd -T",
            "permit_root_login",
            "run as root; see what `sshd -T` says",
        ));
    }
    let clock = time::resource(&mut inspection, &processes).await;
    lines.push(fact(
        &clock,
        "time service",
        "synchronised",
        "install chrony or systemd-timesyncd",
    ));
    let updates = updates::resource(&mut inspection, &system).await;
    lines.push(fact(
        &updates,
        "package lists",
        "package_lists_as_of",
        "enable a security archive and refresh the lists daily (`apt-get update`, `dnf makecache`)",
    ));
    lines.push(fact(
        &updates,
        "reboot required",
        "reboot_required",
        "install unattended-upgrades or update-notifier-common (Debian), yum-utils or dnf-utils (Red Hat)",
    ));
    lines
}

fn line(tried: &str, found: Result<String, String>) -> Line {
    (tried.to_owned(), found)
}

fn fact(resource: &evidenced_collector_api::Resource, tried: &str, attribute: &str, remedy: &str) -> Line {
    let found = match (
        resource.attributes.get(attribute),
        resource.unknown.get(attribute),
    ) {
        (Some(value), _) => Ok(format!("{attribute}: {value}")),
        (None, Some(reason)) => Err(format!("{reason}; {remedy}")),
        (None, None) => Err(remedy.to_owned()),
    };
    line(tried, found)
}
