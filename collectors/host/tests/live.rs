//! `host.baseline` on the machine that runs the tests: only what must be true anywhere.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod recording;

use evidenced_collector_api::{Run, conformance};
use evidenced_collector_host::{Settings, baseline};
use recording::TestClock;

#[tokio::test]
async fn this_very_machine_can_be_collected_and_keeps_the_contract() {
    let clock = TestClock::default();
    let run = Run::begin(&clock);
    let collector = baseline(Settings::default());
    let targets = collector.targets(&run).await.unwrap();
    let snapshot = collector.collect(&targets[0], &run).await.unwrap();
    assert_eq!(
        conformance::snapshot_breaches(&snapshot, &run),
        Vec::<String>::new()
    );
    let system = snapshot
        .resources
        .iter()
        .find(|resource| resource.kind == "host.system")
        .unwrap();
    assert_eq!(system.id, targets[0].as_str());
    for kind in ["host.updates", "host.sshd", "host.time", "host.account_sources"] {
        assert_eq!(
            snapshot
                .resources
                .iter()
                .filter(|resource| resource.kind == kind)
                .count(),
            1,
            "{kind}"
        );
    }
    for resource in &snapshot.resources {
        assert!(collector.kinds().contains(&resource.kind.as_str()));
    }
}
