//! Whether this process sees a container instead of the host.
//!
//! Any sign is enough, and without a sign only the initial PID namespace proves that there is none: that namespace
//! has had the same number on every kernel since 3.8. `/.dockerenv` alone is no sign where the root is a whole
//! block device: disk images of virtual machines are often made from container images, and keep that file.

use crate::disks::mounts;
use crate::inspection::Inspection;

const INITIAL_PID: &str = "pid:[4026531836]";
const INITIAL_CGROUP: &str = "cgroup:[4026531835]";
const RUNTIME_CGROUPS: &[&str] = &[
    "/docker/",
    "/docker-",
    "/kubepods",
    "/lxc/",
    "/lxc.payload",
    "libpod-",
    "cri-containerd-",
    "crio-",
];

/// What was found, and from which calls.
pub(crate) struct Confinement {
    /// Whether it is a container, and how that is known; or why it can't be told.
    pub(crate) container: Result<(bool, String), String>,
    pub(crate) calls: Vec<usize>,
}

impl Confinement {
    /// Why the host's facts can't be read, if they can't.
    pub(crate) fn obstacle(&self) -> Option<String> {
        match &self.container {
            Ok((false, _)) => None,
            Ok((true, how)) => Some(format!("inside a container: the host can't be seen ({how})")),
            Err(reason) => Some(format!("perhaps inside a container: {reason}")),
        }
    }
}

pub(crate) fn detect(inspection: &mut Inspection<'_>) -> Confinement {
    let mut calls = Vec::new();
    let mut signs = Vec::new();
    let mut doubts = Vec::new();
    for path in ["/run/systemd/container", "/run/.containerenv"] {
        let file = inspection.read(path);
        calls.push(file.call);
        match file.known() {
            Ok(_) => signs.push(format!("{path} is there")),
            Err(_) if file.is_absent() => {}
            Err(reason) => doubts.push(reason),
        }
    }
    // Root only; where it may not be read, the other signs decide.
    let environment = inspection.read_secret("/proc/1/environ");
    calls.push(environment.call);
    if environment
        .answer
        .is_ok_and(|text| text.split('\0').any(names_container))
    {
        signs.push("container= in the environment of process 1".to_owned());
    }
    let pid = inspection.link("/proc/self/ns/pid");
    let cgroup = inspection.link("/proc/self/ns/cgroup");
    calls.extend([pid.call, cgroup.call]);
    for (link, initial) in [(&pid, INITIAL_PID), (&cgroup, INITIAL_CGROUP)] {
        if link.answer.as_ref().is_ok_and(|namespace| namespace != initial) {
            signs.push(format!("{} is not the initial namespace", link.what));
        }
    }
    let groups = inspection.read("/proc/self/cgroup");
    calls.push(groups.call);
    if groups
        .answer
        .is_ok_and(|text| RUNTIME_CGROUPS.iter().any(|part| text.contains(part)))
    {
        signs.push("/proc/self/cgroup names a container runtime".to_owned());
    }
    let left_over = inspection.read("/.dockerenv");
    calls.push(left_over.call);
    if let Err(reason) = left_over.known()
        && !left_over.is_absent()
    {
        doubts.push(reason);
    } else if left_over.answer.is_ok() {
        let table = inspection.read("/proc/self/mountinfo");
        calls.push(table.call);
        if !table.answer.is_ok_and(|text| root_is_a_block_device(&text)) {
            signs.push("/.dockerenv is there".to_owned());
        }
    }
    let container = if let Some(sign) = signs.into_iter().next() {
        Ok((true, sign))
    } else if let Some(doubt) = doubts.into_iter().next() {
        Err(doubt)
    } else {
        pid.known().map(|_| {
            (
                false,
                "initial PID namespace, and no sign of a container".to_owned(),
            )
        })
    };
    Confinement { container, calls }
}

fn names_container(variable: &str) -> bool {
    variable
        .strip_prefix("container=")
        .is_some_and(|name| !name.is_empty())
}

fn root_is_a_block_device(mountinfo: &str) -> bool {
    mounts(mountinfo)
        .0
        .iter()
        .rev()
        .find(|mount| mount.point == "/")
        .is_some_and(|mount| mount.root == "/" && mount.on_block_device())
}
