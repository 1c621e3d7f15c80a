//! `github.branch_protection`: what protects the tested branches of an owner's repositories, from whichever layer.

use async_trait::async_trait;
use futures_util::StreamExt as _;
use futures_util::stream;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use evidenced_collector_api::{
    CollectError, Collector, Completeness, Covers, Provenance, Recording, Resource, Run, Snapshot, Target,
};

use crate::access::Access;
use crate::branches::{Branch, Reader};
use crate::bypass::OfRulesets;
use crate::check;
use crate::effective;
use crate::scope::Repository;

/// A ruleset is asked for by way of so many repositories before it is not known.
const WAYS: usize = 3;

pub(crate) struct BranchProtection {
    access: Access,
}

/// What was read of all repositories.
#[derive(Default)]
struct Found {
    branches: Vec<Branch>,
    /// Why some were not read.
    missing: BTreeSet<String>,
    gone: bool,
}

impl BranchProtection {
    pub(crate) fn new(access: Access) -> Self {
        Self { access }
    }

    /// Reads the repositories, several at once, and records them in their order.
    async fn read(&self, reader: &Reader<'_>, tested: &[&Repository], recording: &mut Recording) -> Found {
        let reading: Vec<_> = tested
            .iter()
            .map(|repository| reader.repository(repository))
            .collect();
        let mut reading = stream::iter(reading).buffered(self.access.settings.concurrency.0);
        let mut found = Found::default();
        while let Some(mut read) = reading.next().await {
            read.record(recording);
            found.branches.append(&mut read.branches);
            found.missing.append(&mut read.missing.into_iter().collect());
            found.gone |= read.gone;
        }
        found
    }

    /// Asks who bypasses the rulesets that ask for reviews: once each, since many repositories may share one.
    async fn bypasses(
        &self,
        reader: &Reader<'_>,
        tested: &[&Repository],
        branches: &[Branch],
        recording: &mut Recording,
    ) -> OfRulesets {
        let by_name: BTreeMap<_, _> = tested
            .iter()
            .map(|repository| (repository.full_name.as_str(), *repository))
            .collect();
        let mut ways: BTreeMap<u64, Vec<Repository>> = BTreeMap::new();
        for branch in branches {
            let repository = by_name.get(branch.repository.as_str());
            for id in branch.layers.reviewing() {
                let ways = ways.entry(id).or_default();
                let new = repository.filter(|repository| ways.len() < WAYS && !ways.contains(repository));
                ways.extend(new.map(|repository| (*repository).clone()));
            }
        }
        let asking: Vec<_> = ways.iter().map(|(id, ways)| reader.ruleset(*id, ways)).collect();
        let mut asking = stream::iter(asking).buffered(self.access.settings.concurrency.0);
        let mut of_rulesets = OfRulesets::new();
        for id in ways.keys() {
            if let Some((mut read, said)) = asking.next().await {
                of_rulesets.insert(*id, (read.record(recording), said));
            }
        }
        of_rulesets
    }
}

#[async_trait]
impl Collector for BranchProtection {
    fn id(&self) -> &'static str {
        "github.branch_protection"
    }

    fn version(&self) -> &'static str {
        "1"
    }

    fn kinds(&self) -> &'static [&'static str] {
        &["github.branch"]
    }

    async fn targets(&self, _run: &Run<'_>) -> Result<Vec<Target>, CollectError> {
        self.access.owners()
    }

    async fn collect(&self, target: &Target, run: &Run<'_>) -> Result<Snapshot, CollectError> {
        let owner = target.as_str();
        let identity = self.access.identity(run, owner).await?;
        let mut recording = Recording::default();
        let population = self
            .access
            .population(run, &identity, owner, &mut recording)
            .await?;
        let all = population.repositories.iter();
        let tested: Vec<_> = all.filter(|repository| self.access.tests(repository)).collect();
        let reader = Reader {
            run,
            client: &identity.client,
            settings: &self.access.settings,
            over: OnceLock::new(),
        };
        let mut found = self.read(&reader, &tested, &mut recording).await;
        let of_rulesets = self
            .bypasses(&reader, &tested, &found.branches, &mut recording)
            .await;
        found.missing.extend(reader.over.into_inner());
        let (_, listing) = population.calls;
        let resources: Vec<_> = found
            .branches
            .iter()
            .map(|branch| resource(branch, listing, &of_rulesets))
            .collect();
        let completeness = completeness(&population.completeness, &found, resources.len());
        let (calls, raw) = recording.finish();
        Ok(Snapshot {
            covers: Covers::At { at: run.started },
            resources,
            raw,
            provenance: Provenance {
                caller: identity.caller.clone(),
                calls,
                limits: identity.client.limits_told(),
                completeness,
            },
        })
    }

    async fn check(&self, run: &Run<'_>) -> Vec<(String, Result<String, String>)> {
        check::protection(&self.access, run).await
    }
}

fn resource(branch: &Branch, listing: usize, of_rulesets: &OfRulesets) -> Resource {
    let id = format!("{}:{}", branch.repository, branch.name);
    let mut resource = Resource::new("github.branch", &id, &id, listing)
        .with("repository", branch.repository.as_str())
        .with("branch", branch.name.as_str())
        .with("default_branch", branch.default);
    resource.call.extend(&branch.calls);
    let asked = branch.layers.reviewing().filter_map(|id| of_rulesets.get(&id));
    resource.call.extend(asked.flat_map(|(calls, _)| calls));
    if let Some(errors) = &branch.code_owners_errors {
        resource = resource.with_result("code_owners_errors", errors.clone());
    }
    effective::describe(resource, &branch.layers, of_rulesets)
}

/// The repositories are all there are, and each of their branches was read.
fn completeness(repositories: &Completeness, found: &Found, read: usize) -> Completeness {
    let mut against = Vec::from_iter((!repositories.complete).then(|| repositories.basis.clone()));
    let missing = found.missing.iter();
    against.extend(missing.map(|reason| format!("not every branch was read: {reason}")));
    let mut basis = format!(
        "{}; in each repository that is tested, every branch that is tested was read, and an empty one has none",
        repositories.basis
    );
    if !against.is_empty() {
        basis = against.join("; ");
    }
    if found.gone {
        basis.push_str("; a repository or branch that went while it was read is left out");
    }
    Completeness {
        complete: against.is_empty(),
        basis,
        // The second count is of repositories, not of branches.
        expected: None,
        read: read as u64,
        second_source: None,
    }
}
