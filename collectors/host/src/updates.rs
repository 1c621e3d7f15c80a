//! Pending security updates and reboots, from what the package manager already knows: nothing is downloaded.
//!
//! "None pending" is only as good as the lists it rests on. Without lists of a security archive the count is unknown,
//! never 0; `package_lists_as_of` is the date of the oldest of them. Whether a reboot is pending is known only where
//! something would have said so.

use chrono::{DateTime, SecondsFormat, Utc};
use evidenced_collector_api::Resource;

use crate::inspection::{Inspection, Noted};
use crate::machine::Output;
use crate::os::System;
use crate::packages::{self, Pending};

/// What `host.updates` tells.
pub(crate) const ATTRIBUTES: &[&str] = &[
    "package_manager",
    "reboot_required",
    "reboot_required_since",
    "updates_pending",
    "security_updates_pending",
    "security_updates",
    "package_lists_as_of",
];
const APT_LISTS: &str = "/var/lib/apt/lists";
/// Read-only: no lock, no cache written, packages on hold counted too.
const APT_SIMULATION: &[&str] = &[
    "-s",
    "-o",
    "Debug::NoLocking=1",
    "-o",
    "Dir::Cache::pkgcache=",
    "-o",
    "Dir::Cache::srcpkgcache=",
    "--ignore-hold",
    "dist-upgrade",
];
const DNF_CACHES: &[&str] = &["/var/cache/dnf", "/var/cache/libdnf5"];

pub(crate) async fn resource(inspection: &mut Inspection<'_>, system: &System) -> Resource {
    let mut resource = Resource::new("host.updates", "updates", "updates", 0);
    resource.call.clone_from(&system.family_calls);
    let family = match &system.family {
        Ok(family) => family,
        Err(reason) => return all_unknown(resource, reason),
    };
    let is_one_of = |names: &[&str]| family.iter().any(|name| names.contains(&name.as_str()));
    if is_one_of(&["debian", "ubuntu"]) {
        apt(inspection, resource).await
    } else if is_one_of(&["rhel", "fedora", "centos"]) {
        dnf(inspection, resource).await
    } else {
        all_unknown(
            resource,
            "neither a Debian nor a Red Hat system: its package manager is not read",
        )
    }
}

/// Nothing is known, for one reason.
fn all_unknown(mut resource: Resource, reason: &str) -> Resource {
    for attribute in ATTRIBUTES {
        resource
            .unknown
            .insert((*attribute).to_owned(), reason.to_owned());
    }
    resource
}

async fn apt(inspection: &mut Inspection<'_>, resource: Resource) -> Resource {
    let mut resource = resource.with("package_manager", "apt");
    resource = apt_reboot(inspection, resource);
    let lists = inspection.list(APT_LISTS);
    resource.call.push(lists.call);
    // An archive's release file; the packages' lists beside it follow from it.
    let releases = lists.known().and_then(|names| {
        let names: Vec<_> = names
            .iter()
            .filter(|name| {
                name.contains("-security") && (name.ends_with("_InRelease") || name.ends_with("_Release"))
            })
            .map(|name| format!("{APT_LISTS}/{name}"))
            .collect();
        if names.is_empty() {
            Err(format!("{APT_LISTS}: no package lists of a security archive"))
        } else {
            Ok(names)
        }
    });
    let as_of = oldest(inspection, &mut resource.call, releases);
    let simulated = inspection.command("apt-get", APT_SIMULATION, 120).await;
    resource.call.push(simulated.call);
    let pending = as_of.as_ref().map_err(Clone::clone).and_then(|_| {
        let text = simulated.success()?;
        inspection.keep(simulated.call, text.as_str());
        packages::apt(&text)
    });
    with_pending(resource, pending, as_of)
}

/// A flag file says so, if there is something that would write it: Debian alone does not.
fn apt_reboot(inspection: &mut Inspection<'_>, mut resource: Resource) -> Resource {
    let flag = inspection.modified("/run/reboot-required");
    let hooks = inspection.list("/etc/kernel/postinst.d");
    let notifier = inspection.modified("/usr/share/update-notifier/notify-reboot-required");
    resource.call.extend([flag.call, hooks.call, notifier.call]);
    let hook = hooks.answer.as_ref().is_ok_and(|names| {
        names
            .iter()
            .any(|name| matches!(name.as_str(), "unattended-upgrades" | "update-notifier"))
    });
    let required = match &flag.answer {
        Ok(since) => {
            resource = resource.with("reboot_required_since", rfc3339(*since));
            Ok(true)
        }
        Err(_) if flag.is_absent() && (hook || notifier.answer.is_ok()) => Ok(false),
        Err(_) if flag.is_absent() && !(hooks.is_absent() || hooks.answer.is_ok()) => hooks.known().map(|_| false),
        Err(_) if flag.is_absent() => Err(
            "no /run/reboot-required, and neither unattended-upgrades nor update-notifier is there to write it"
                .to_owned(),
        ),
        Err(_) => flag.known().map(|_| true),
    };
    with_reboot(resource, required, "")
}

/// Since when a reboot is required is told where it is required, and unknown where that is.
fn with_reboot(mut resource: Resource, required: Result<bool, String>, no_since: &str) -> Resource {
    let reason = match &required {
        Ok(true) => {
            Some(no_since.to_owned()).filter(|_| !resource.attributes.contains_key("reboot_required_since"))
        }
        Ok(false) => None,
        Err(reason) => Some(reason.clone()),
    };
    if let Some(reason) = reason {
        resource
            .unknown
            .insert("reboot_required_since".to_owned(), reason);
    }
    resource.with_result("reboot_required", required)
}

async fn dnf(inspection: &mut Inspection<'_>, resource: Resource) -> Resource {
    let mut resource = resource.with("package_manager", "dnf");
    let restart = inspection.command("needs-restarting", &["-r"], 60).await;
    resource.call.push(restart.call);
    let reboot = restart
        .known()
        .and_then(|output| packages::needs_restarting(output.exit, &String::from_utf8_lossy(&output.stdout)));
    resource = with_reboot(resource, reboot, "needs-restarting does not tell since when");
    let advisories = advisories(inspection, &mut resource.call);
    let as_of = oldest(inspection, &mut resource.call, advisories);
    let listed = inspection
        .command(
            "dnf",
            &["-q", "--cacheonly", "updateinfo", "list", "--security"],
            120,
        )
        .await;
    resource.call.push(listed.call);
    let pending = as_of.as_ref().map_err(Clone::clone).and_then(|_| {
        let text = listed.success()?;
        inspection.keep(listed.call, text.as_str());
        whole(inspection.machine.identity().uid, &listed)?;
        packages::dnf(&text)
    });
    with_pending(resource, pending, as_of)
}

/// dnf leaves out repositories that it has no cache of, and for other users than root looks for another cache.
fn whole(uid: u32, listed: &Noted<Output>) -> Result<(), String> {
    let words = listed
        .answer
        .as_ref()
        .map(|output| String::from_utf8_lossy(&output.stderr));
    if uid != 0 {
        Err("the system's package cache is used by dnf for root only".to_owned())
    } else if words.is_ok_and(|words| words.contains("no cache") || words.contains("ignoring this repo")) {
        Err("dnf has no cache of some repository".to_owned())
    } else {
        Ok(())
    }
}

/// The index files of the cached repositories that publish advisories. Where none does, dnf lists nothing.
fn advisories(inspection: &mut Inspection<'_>, calls: &mut Vec<usize>) -> Result<Vec<String>, String> {
    let mut found = Vec::new();
    for cache in DNF_CACHES {
        for repository in names(inspection, calls, cache)? {
            let folder = format!("{cache}/{repository}/repodata");
            let files = names(inspection, calls, &folder)?;
            if files.iter().any(|file| file.contains("updateinfo")) {
                found.push(format!("{folder}/repomd.xml"));
            }
        }
    }
    if found.is_empty() {
        Err("no cached repository publishes security advisories".to_owned())
    } else {
        Ok(found)
    }
}

/// A folder's names; none where there is no such folder.
fn names(inspection: &mut Inspection<'_>, calls: &mut Vec<usize>, path: &str) -> Result<Vec<String>, String> {
    let folder = inspection.list(path);
    calls.push(folder.call);
    if folder.is_absent() {
        Ok(Vec::new())
    } else {
        folder.known().cloned()
    }
}

/// When the oldest of some files was changed.
fn oldest(
    inspection: &mut Inspection<'_>,
    calls: &mut Vec<usize>,
    paths: Result<Vec<String>, String>,
) -> Result<DateTime<Utc>, String> {
    let mut oldest: Option<DateTime<Utc>> = None;
    for path in paths? {
        let modified = inspection.modified(&path);
        calls.push(modified.call);
        let instant = *modified.known()?;
        oldest = Some(oldest.map_or(instant, |known| known.min(instant)));
    }
    oldest.ok_or_else(|| "there are no package lists".to_owned())
}

fn with_pending(
    resource: Resource,
    pending: Result<Pending, String>,
    as_of: Result<DateTime<Utc>, String>,
) -> Resource {
    let security = pending.as_ref().map_err(Clone::clone).and_then(|pending| {
        if pending.security.is_empty() && pending.kept_back > 0 {
            Err("some updates are kept back, and whether they are security updates is not told".to_owned())
        } else {
            Ok(pending.security.clone())
        }
    });
    resource
        .with_result(
            "security_updates_pending",
            security.clone().map(|names| names.len()),
        )
        .with_result("security_updates", security)
        .with_result(
            "updates_pending",
            pending.and_then(|pending| {
                pending
                    .all
                    .map(|all| all + pending.kept_back)
                    .ok_or_else(|| "dnf updateinfo lists security updates only".to_owned())
            }),
        )
        .with_result("package_lists_as_of", as_of.map(rfc3339))
}

fn rfc3339(instant: DateTime<Utc>) -> String {
    instant.to_rfc3339_opts(SecondsFormat::Secs, true)
}
