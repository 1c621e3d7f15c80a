//! The collectors over answers as AWS documents them, since no server that can be had answers like AWS throughout.

mod denied;
mod facts;
mod faults;
mod world;

use chrono::{DateTime, Utc};
use std::time::Duration;

use evidenced_collector_api::{Clock, CollectError, Collector, Resource, Run, Snapshot};

use crate::access::Access;
use crate::iam_mfa::IamMfa;
use crate::organization_accounts::OrganizationAccounts;
use crate::s3_encryption::S3Encryption;
use crate::settings::Settings;
use world::World;

/// A clock that stands.
struct Still;

impl Clock for Still {
    fn now(&self) -> DateTime<Utc> {
        DateTime::from_timestamp(1_780_000_000, 0).unwrap()
    }

    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }
}

/// All three, over a world.
fn collectors(world: &World) -> [Box<dyn Collector>; 3] {
    let access = || {
        let settings: Settings = toml::from_str(&world.settings).unwrap();
        Access::over(settings, world.config())
    };
    [
        Box::new(IamMfa::new(access())),
        Box::new(OrganizationAccounts::new(access())),
        Box::new(S3Encryption::new(access())),
    ]
}

/// The first target's snapshot.
async fn collect(collector: &dyn Collector) -> Result<Snapshot, CollectError> {
    let run = Run::begin(&Still);
    let targets = collector.targets(&run).await?;
    collector.collect(&targets[0], &run).await
}

fn find<'a>(snapshot: &'a Snapshot, kind: &str, name: &str) -> &'a Resource {
    snapshot
        .resources
        .iter()
        .find(|resource| resource.kind == kind && resource.name == name)
        .unwrap()
}
