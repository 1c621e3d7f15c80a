//! The processes of this PID namespace: what runs, and which sockets each holds.
//!
//! Their number varies from run to run, so all of it is noted as one call.

use std::collections::{BTreeMap, BTreeSet};

use crate::inspection::Inspection;
use crate::machine::{Fault, Machine};

/// What runs now.
#[derive(Default)]
pub(crate) struct Processes {
    pub(crate) call: usize,
    /// Why not all processes can be seen, if so.
    pub(crate) hidden: Option<String>,
    pub(crate) running: Vec<Process>,
    /// By the socket's number (inode), the names of the processes that hold it.
    holders: BTreeMap<String, BTreeSet<String>>,
    /// Some process did not show its open files.
    closed: bool,
}

/// One process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Process {
    /// The kernel's name for it, at most 15 bytes.
    pub(crate) name: String,
    /// Its command line, or what it has written over it.
    pub(crate) arguments: Vec<String>,
}

impl Processes {
    pub(crate) fn read(inspection: &mut Inspection<'_>) -> Self {
        let noted = inspection.many("/proc/[pid]/{comm,cmdline,fd}", scan);
        let call = noted.call;
        let reason = noted.known().err();
        let mut processes = noted.answer.unwrap_or_default();
        processes.call = call;
        processes.hidden = reason.or(processes.hidden);
        processes
    }

    /// Whether a process of this name runs.
    pub(crate) fn runs(&self, name: &str) -> bool {
        self.running.iter().any(|process| process.name == name)
    }

    /// The processes that hold a socket, joined by commas.
    pub(crate) fn holding(&self, inode: &str) -> Result<String, String> {
        match self.holders.get(inode) {
            Some(names) => Ok(names.iter().map(String::as_str).collect::<Vec<_>>().join(",")),
            None if self.closed || self.hidden.is_some() => Err(
                "whose socket it is shows only in open files that we are not allowed to look at".to_owned(),
            ),
            None => Err("no process holds it: the kernel's own, or passed on while we looked".to_owned()),
        }
    }
}

fn scan(machine: &dyn Machine) -> Result<Processes, Fault> {
    let mut found = Processes::default();
    let mut first = false;
    for pid in machine
        .list("/proc")?
        .iter()
        .filter(|name| name.bytes().all(|b| b.is_ascii_digit()))
    {
        let (name, line) = match (
            machine.read(&format!("/proc/{pid}/comm")),
            machine.read(&format!("/proc/{pid}/cmdline")),
        ) {
            (Ok(name), Ok(line)) => (String::from_utf8_lossy(&name).trim_end().to_owned(), line),
            // It ended between the listing and this read, which the kernel calls absent or no such process.
            (Err(Fault::Absent | Fault::Failed(_)), _) | (_, Err(Fault::Absent | Fault::Failed(_))) => {
                continue;
            }
            _ => {
                found.hidden = Some("/proc: some processes are hidden".to_owned());
                continue;
            }
        };
        first |= pid == "1";
        found.closed |= !sockets(machine, pid, &name, &mut found.holders);
        found.running.push(Process {
            name,
            arguments: String::from_utf8_lossy(&line)
                .split('\0')
                .filter(|part| !part.is_empty())
                .map(str::to_owned)
                .collect(),
        });
    }
    if !first {
        found.hidden = Some("/proc: other users' processes are hidden".to_owned());
    }
    Ok(found)
}

/// Notes a process's sockets; false if it does not show them.
fn sockets(
    machine: &dyn Machine,
    pid: &str,
    name: &str,
    holders: &mut BTreeMap<String, BTreeSet<String>>,
) -> bool {
    let files = match machine.list(&format!("/proc/{pid}/fd")) {
        Ok(files) => files,
        Err(fault) => return fault == Fault::Absent,
    };
    let mut shown = true;
    for file in files {
        match machine.link(&format!("/proc/{pid}/fd/{file}")) {
            Ok(target) => {
                if let Some(inode) = target
                    .strip_prefix("socket:[")
                    .and_then(|rest| rest.strip_suffix(']'))
                {
                    holders
                        .entry(inode.to_owned())
                        .or_default()
                        .insert(name.to_owned());
                }
            }
            Err(fault) => shown &= fault == Fault::Absent,
        }
    }
    shown
}
