//! What people owe as evidence and what they gave, out of the log, for [`crate::period::manual`]. Reads only.

use chrono::{DateTime, Utc};

use crate::control::{Control, ControlResult};
use crate::log::leaf::{Attachment, BlobRef, Body, By, Role};
use crate::log::store::{Reader, StoreError};
use crate::period::manual::{Account, Duty, Evidence, account};
use crate::plan::{Plan, PlanError};

/// A control that people owe evidence for, or once did.
#[derive(Clone, Debug)]
pub struct Owed {
    /// The control, as the newest plan that has it says.
    pub control: Control,
    /// Whether the newest plan still asks for evidence.
    pub is_owed: bool,
    /// When what was owed, in the order of time.
    pub duties: Vec<Duty>,
    /// What was attached for it, in the order of the log.
    pub evidence: Vec<Evidence>,
}

/// An attachment with its place in the log.
#[derive(Clone, Debug)]
pub struct Attached {
    /// Its leaf.
    pub seq: u64,
    /// When it was sealed.
    pub sealed: DateTime<Utc>,
    /// What it says.
    pub attachment: Attachment,
    /// The file.
    pub file: Option<BlobRef>,
}

/// Every attachment of the log, the oldest first.
pub fn attachments(reader: &Reader) -> Result<Vec<Attached>, StoreError> {
    let mut all = Vec::new();
    for seq in reader.of_kind("attachment", 0)? {
        let Some(leaf) = reader.leaf(seq)? else { continue };
        if let Some(Body::Attachment(attachment)) = leaf.body {
            all.push(Attached {
                seq,
                sealed: leaf.time,
                attachment,
                file: leaf.blobs.into_iter().find(|blob| blob.role == Role::File),
            });
        }
    }
    Ok(all)
}

/// Every control for which any plan ever asked evidence of people, in the order in which they came. Once a daemon has planned,
/// only its plans count.
pub fn read(reader: &Reader) -> Result<Vec<Owed>, PlanError> {
    read_before(reader, u64::MAX)
}

/// The same as the log stood before a leaf was appended.
pub fn read_before(reader: &Reader, end: u64) -> Result<Vec<Owed>, PlanError> {
    let mut owed: Vec<Owed> = Vec::new();
    let mut rules = String::new();
    let mut is_planned = false;
    for seq in reader.of_kind("plan", 0)?.into_iter().filter(|seq| *seq < end) {
        let Some(leaf) = reader.leaf(seq)? else { continue };
        let Some(Body::Plan(plan)) = leaf.body else {
            continue;
        };
        // Who tries another configuration by hand ends nobody's duty.
        if plan.by == By::AdHoc && is_planned {
            continue;
        }
        is_planned |= plan.by == By::Daemon;
        // Most plans differ from the one before in something else: a daemon that was started again.
        if plan.rules_sha256 == rules {
            continue;
        }
        let controls = match Plan::sealed_lists(reader, seq) {
            Ok(lists) => lists.rules.controls,
            Err(PlanError::Store(error)) if !error.is_damage() => return Err(error.into()),
            // What can't be read any more ends nobody's duty.
            Err(_) => continue,
        };
        rules = plan.rules_sha256;
        follow(&mut owed, controls, leaf.time);
    }
    for each in attachments(reader)?.into_iter().filter(|each| each.seq < end) {
        for owed in &mut owed {
            if each
                .attachment
                .controls
                .iter()
                .any(|id| id == owed.control.id.as_str())
            {
                owed.evidence.push(each.evidence());
            }
        }
    }
    Ok(owed)
}

/// What a plan changes.
fn follow(owed: &mut Vec<Owed>, controls: Vec<Control>, at: DateTime<Utc>) {
    for owed in owed.iter_mut() {
        let now = controls.iter().find(|control| control.id == owed.control.id);
        let asks = now
            .filter(|control| control.enabled)
            .and_then(|control| control.manual.as_ref());
        owed.is_owed = asks.is_some();
        if let Some(open) = owed.duties.last_mut().filter(|duty| duty.to.is_none())
            && asks != Some(&open.manual)
        {
            open.to = Some(at);
        }
    }
    for control in controls.into_iter().filter(|control| control.enabled) {
        let Some(manual) = control.manual.clone() else {
            continue;
        };
        let duty = Duty {
            from: at,
            to: None,
            manual,
        };
        match owed.iter_mut().find(|owed| owed.control.id == control.id) {
            Some(known) => {
                known.control = control;
                if known.duties.last().is_none_or(|last| last.to.is_some()) {
                    known.duties.push(duty);
                }
            }
            None => owed.push(Owed {
                control,
                is_owed: true,
                duties: vec![duty],
                evidence: Vec::new(),
            }),
        }
    }
}

impl Attached {
    /// What the accounting needs of it.
    pub fn evidence(&self) -> Evidence {
        Evidence {
            seq: self.seq,
            sealed: self.sealed,
            covers: self.attachment.covers,
            title: self.attachment.title.clone(),
        }
    }
}

impl Owed {
    /// What came of it, as of an instant.
    pub fn account(&self, now: DateTime<Utc>) -> Account {
        account(&self.duties, &self.evidence, now)
    }
}

/// Says to each control what became of the evidence that people owe for it.
pub fn join(results: &mut [ControlResult], owed: &[Owed], now: DateTime<Utc>) {
    for result in results {
        let of_control = |owed: &&Owed| owed.is_owed && owed.control.id == result.control;
        if let Some(owed) = owed.iter().find(of_control) {
            let account = owed.account(now);
            result.join_manual(account.outcome(), account.reason());
        }
    }
}
