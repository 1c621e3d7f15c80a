//! `github.repositories`: which repositories an owner has, which are tested, which are left out and why.

use async_trait::async_trait;
use serde_json::Value;

use evidenced_collector_api::{
    CollectError, Collector, Covers, Provenance, Recording, Resource, Run, Snapshot, Target,
};

use crate::access::Access;
use crate::check;
use crate::client::Refusal;

pub(crate) struct Repositories {
    access: Access,
}

impl Repositories {
    pub(crate) fn new(access: Access) -> Self {
        Self { access }
    }
}

#[async_trait]
impl Collector for Repositories {
    fn id(&self) -> &'static str {
        "github.repositories"
    }

    fn version(&self) -> &'static str {
        "1"
    }

    fn kinds(&self) -> &'static [&'static str] {
        &["github.owner", "github.repository"]
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
        let (owner_call, call) = population.calls;
        let mut resources = vec![owner_resource(
            owner,
            owner_call,
            &population.owner,
            population.repositories.len(),
        )];
        for repository in &population.repositories {
            let name = repository.full_name.as_str();
            let exclusion = self.access.settings.exclusion(name);
            resources.push(
                Resource::new("github.repository", name, name, call)
                    .with("visibility", repository.visibility.as_str())
                    .with("archived", repository.archived)
                    .with("fork", repository.fork)
                    .with("default_branch", repository.default_branch.clone())
                    .with("tested", self.access.tests(repository))
                    .with("excluded", exclusion.is_some())
                    .with("exclusion_reason", exclusion.map(str::to_owned)),
            );
        }
        // The owner is a resource too.
        let mut completeness = population.completeness;
        completeness.read += 1;
        completeness.expected = completeness.expected.map(|expected| expected + 1);
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
        check::listings(&self.access, run).await
    }
}

fn owner_resource(owner: &str, call: usize, said: &Result<Value, Refusal>, repositories: usize) -> Resource {
    let resource =
        Resource::new("github.owner", owner, owner, call).with("repositories", repositories as u64);
    let said = match said {
        Ok(said) => said,
        Err(refusal) => {
            let unknown = || Err::<Value, _>(refusal.reason.clone());
            return resource
                .with_result("owner_kind", unknown())
                .with_result("two_factor_required", unknown());
        }
    };
    let kind = match said["type"].as_str() {
        Some(kind) => Ok(kind.to_owned()),
        None => Err("GitHub does not say whether this is an organisation or a user".to_owned()),
    };
    let required = match (&kind, said["two_factor_requirement_enabled"].as_bool()) {
        (_, Some(required)) => Ok(Value::from(required)),
        (Ok(kind), None) if kind == "User" => Ok(Value::Null),
        _ => Err("GitHub shows it to the organisation's owners only".to_owned()),
    };
    resource
        .with_result("owner_kind", kind)
        .with_result("two_factor_required", required)
}
