//! `host.baseline`: one snapshot of this machine, put together from the areas.

use async_trait::async_trait;
use evidenced_collector_api::{
    CollectError, Collector, Completeness, Covers, FailureClass, Provenance, Resource, Run, Snapshot, Target,
};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::container::{self, Confinement};
use crate::inspection::Inspection;
use crate::machine::{LiveMachine, Machine};
use crate::processes::Processes;
use crate::{accounts, disks, listeners, os, ssh, time, updates};

const KINDS: &[&str] = &[
    "host.system",
    "host.updates",
    "host.mount",
    "host.account",
    "host.account_sources",
    "host.sshd",
    "host.listener",
    "host.time",
];

const VOLATILE: &[(&str, &str)] = &[
    ("host.system", "boot_id"),
    // Vendors publish updates and lists grow old without anybody here changing a setting.
    ("host.updates", "package_lists_as_of"),
    ("host.updates", "updates_pending"),
    ("host.updates", "security_updates_pending"),
    ("host.updates", "security_updates"),
    ("host.updates", "reboot_required_since"),
    ("host.time", "offset_ms"),
    ("host.time", "last_synchronised"),
];

const BASIS: &str = "read from this machine itself: file systems on block devices of this mount namespace (read-only \
                     images left out), login accounts of /etc/passwd, listening sockets of this network namespace (of \
                     UDP, those outside the ports that the kernel hands out by itself)";

/// The settings of a source of `host.baseline`. All may be left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The target's name, as the declared list of hosts has it: text. Default: the host name.
    pub name: Option<String>,
    /// The mount points that hold data: absolute paths. One that is not mounted is shown, with nothing known of it.
    /// Default: every file system on a block device except those at or below `/boot` and `/efi`.
    pub data_mounts: Option<Vec<PathBuf>>,
}

/// The collector `host.baseline` for the machine that this process runs on.
pub fn baseline(settings: Settings) -> Box<dyn Collector> {
    baseline_on(Box::new(LiveMachine), settings)
}

/// The same for any machine: a recorded one, in tests.
pub fn baseline_on(machine: Box<dyn Machine>, settings: Settings) -> Box<dyn Collector> {
    Box::new(Baseline { machine, settings })
}

struct Baseline {
    machine: Box<dyn Machine>,
    settings: Settings,
}

#[async_trait]
impl Collector for Baseline {
    fn id(&self) -> &'static str {
        "host.baseline"
    }

    fn version(&self) -> &'static str {
        "1"
    }

    fn kinds(&self) -> &'static [&'static str] {
        KINDS
    }

    fn volatile(&self) -> &'static [(&'static str, &'static str)] {
        VOLATILE
    }

    async fn targets(&self, _run: &Run<'_>) -> Result<Vec<Target>, CollectError> {
        let name = self.settings.name.clone();
        Ok(vec![Target::new(
            name.unwrap_or_else(|| self.machine.identity().nodename),
        )?])
    }

    async fn collect(&self, target: &Target, run: &Run<'_>) -> Result<Snapshot, CollectError> {
        let mut inspection = Inspection::begin(self.machine.as_ref(), run);
        let confinement = container::detect(&mut inspection);
        let resources = self.resources(&mut inspection, target, &confinement).await;
        let anything = inspection.calls.iter().any(|call| call.status == "ok");
        if !anything {
            return Err(CollectError::new(
                FailureClass::Unavailable,
                "nothing at all could be read from this machine: is this Linux, with /proc mounted?",
            ));
        }
        let caller = caller(&mut inspection);
        let completeness = completeness(&inspection.shortfalls, resources.len());
        Ok(Snapshot {
            covers: Covers::At { at: run.started },
            resources,
            raw: inspection.raw,
            provenance: Provenance {
                caller,
                calls: inspection.calls,
                limits: Vec::new(),
                completeness,
            },
        })
    }

    async fn check(&self, run: &Run<'_>) -> Vec<(String, Result<String, String>)> {
        crate::check::tried(self.machine.as_ref(), run).await
    }
}

impl Baseline {
    async fn resources(
        &self,
        inspection: &mut Inspection<'_>,
        target: &Target,
        confinement: &Confinement,
    ) -> Vec<Resource> {
        let system = os::system(inspection, target.as_str(), confinement).await;
        if let Some(reason) = confinement.obstacle() {
            let mut resources = unseen(&confinement.calls, &reason);
            inspection.shortfalls.push(reason);
            resources.push(system.resource);
            return resources;
        }
        let mut resources = disks::resources(inspection, self.settings.data_mounts.as_deref(), &system);
        resources.extend(accounts::resources(inspection));
        let processes = Processes::read(inspection);
        resources.extend(listeners::resources(inspection, &processes));
        resources.push(ssh::resource(inspection, &processes).await);
        resources.push(time::resource(inspection, &processes).await);
        resources.push(updates::resource(inspection, &system).await);
        resources.push(system.resource);
        resources
    }
}

/// What there is one of on every host, with nothing known; mounts, accounts and listeners can't even be named.
fn unseen(calls: &[usize], reason: &str) -> Vec<Resource> {
    let named = |kind: &str, id: &str, attributes: &[&str]| {
        let mut resource = Resource::new(kind, id, id, 0);
        resource.call = calls.to_vec();
        for attribute in attributes {
            resource
                .unknown
                .insert((*attribute).to_owned(), reason.to_owned());
        }
        resource
    };
    vec![
        named("host.account_sources", "nsswitch", accounts::SOURCE_ATTRIBUTES),
        named("host.sshd", "sshd", &ssh::attributes()),
        named("host.time", "clock", time::ATTRIBUTES),
        named("host.updates", "updates", updates::ATTRIBUTES),
    ]
}

fn completeness(shortfalls: &[String], read: usize) -> Completeness {
    let basis = if shortfalls.is_empty() {
        BASIS.to_owned()
    } else {
        format!("{BASIS}; not complete: {}", shortfalls.join("; "))
    };
    Completeness {
        complete: shortfalls.is_empty(),
        basis,
        expected: None,
        read: read as u64,
        second_source: None,
    }
}

fn caller(inspection: &mut Inspection<'_>) -> BTreeMap<String, Value> {
    let identity = inspection.machine.identity();
    let mut caller = BTreeMap::from([
        ("uid".to_owned(), Value::from(identity.uid)),
        ("root".to_owned(), Value::from(identity.uid == 0)),
        ("host".to_owned(), Value::from(identity.nodename)),
    ]);
    if let Some(name) = accounts::name_of(inspection, identity.uid) {
        caller.insert("user".to_owned(), Value::from(name));
    }
    caller
}
