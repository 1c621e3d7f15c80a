//! Who need not keep the rules on reviews. Pure.

use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

use crate::layers::{Layer, Layers, Said, Source};

/// Somebody who may bypass a source's rules.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Actor {
    /// `admins`, `user/octocat`, `user/#583231`, `role/5`, …
    pub(crate) actor: String,
    /// `always` or `pull_request`.
    pub(crate) mode: &'static str,
}

impl Actor {
    fn always(actor: impl Into<String>) -> Self {
        Self {
            actor: actor.into(),
            mode: "always",
        }
    }
}

/// Those of a ruleset that asks for reviews, by its number, with the calls they come from.
pub(crate) type OfRulesets = BTreeMap<u64, (Vec<usize>, Said<Vec<Actor>>)>;

/// Those of a classic rule, `GET /repos/{owner}/{repo}/branches/{branch}/protection`.
pub(crate) fn of_classic(rule: &Value) -> Said<Vec<Actor>> {
    let bound = rule["enforce_admins"]["enabled"].as_bool();
    let bound = bound.ok_or("classic protection does not say whether it holds for administrators")?;
    let mut actors = Vec::from_iter((!bound).then(|| Actor::always("admins")));
    let allowed = &rule["required_pull_request_reviews"]["bypass_pull_request_allowances"];
    for (list, name, prefix) in [
        ("users", "login", "user"),
        ("teams", "slug", "team"),
        ("apps", "slug", "app"),
    ] {
        for each in allowed[list].as_array().into_iter().flatten() {
            let name = each[name].as_str();
            let name = name.ok_or("classic protection lets somebody bypass reviews who has no name")?;
            actors.push(Actor::always(format!("{prefix}/{name}")));
        }
    }
    Ok(actors)
}

/// Those of a ruleset, `GET /repos/{owner}/{repo}/rulesets/{ruleset_id}`.
pub(crate) fn of_ruleset(ruleset: &Value) -> Said<Vec<Actor>> {
    if ruleset["bypass_actors"].is_null() {
        // GitHub leaves the list out, so that its absence does not say "nobody".
        return Err("GitHub shows who bypasses a ruleset only to those who may write it".to_owned());
    }
    let entries = ruleset["bypass_actors"].as_array();
    let read = entries.and_then(|entries| entries.iter().map(entry).collect());
    read.ok_or_else(|| "the ruleset's bypass_actors are not as GitHub documents them".to_owned())
}

fn entry(entry: &Value) -> Option<Actor> {
    // A ruleset gives numbers only; a number could also be somebody's name, hence the `#`.
    let id = || entry["actor_id"].as_u64();
    let actor = match entry["actor_type"].as_str()? {
        "OrganizationAdmin" => "owners".to_owned(),
        "EnterpriseOwner" => "enterprise-owners".to_owned(),
        "DeployKey" => "key".to_owned(),
        "RepositoryRole" => format!("role/{}", id()?),
        "EnterpriseRole" => format!("enterprise-role/{}", id()?),
        "Team" => format!("team/#{}", id()?),
        "Integration" => format!("app/#{}", id()?),
        "User" => format!("user/#{}", id()?),
        // A kind that is new to us bypasses all the same.
        other => id().map_or_else(|| other.to_owned(), |id| format!("{other}/#{id}")),
    };
    let mode = match &entry["bypass_mode"] {
        Value::Null => "always",
        Value::String(mode) if mode == "pull_request" => "pull_request",
        // `exempt` bypasses always, and leaves no trace of it.
        Value::String(mode) if mode == "always" || mode == "exempt" => "always",
        _ => return None,
    };
    Some(Actor { actor, mode })
}

/// Those of all layers together, as the attribute holds them: `{actor, mode, source}` each. Empty where a source that
/// asks for an approval binds everybody.
pub(crate) fn in_force(layers: &Layers, of_rulesets: &OfRulesets) -> Said<Vec<Value>> {
    let asking = layers.read.iter().filter(|layer| !layer.reviews.is_empty());
    let (approvals, requests): (Vec<_>, Vec<_>) = asking.partition(|layer| wanted(layer) != Some(0));
    // Where approvals are asked for, who need not open a pull request elsewhere does not matter: whoever is bound there
    // need not have one approved.
    let asking = if approvals.is_empty() { requests } else { approvals };
    let said: Vec<_> = asking
        .into_iter()
        .map(|layer| (layer, of_layer(layer, of_rulesets)))
        .collect();
    let settled = said.iter().any(|(layer, actors)| {
        let binds_everybody = actors.as_ref().is_ok_and(Vec::is_empty);
        binds_everybody && wanted(layer).is_some_and(|count| count > 0)
    });
    if settled {
        return Ok(Vec::new());
    }
    if let Some(reason) = layers.unread.first() {
        return Err(reason.clone());
    }
    let request_binds_everybody = said.iter().all(|(layer, _)| wanted(layer) == Some(0))
        && said
            .iter()
            .any(|(_, actors)| actors.as_ref().is_ok_and(Vec::is_empty));
    if request_binds_everybody {
        return Ok(Vec::new());
    }
    let mut all = BTreeSet::new();
    for (layer, actors) in said {
        all.extend(actors?.into_iter().map(|actor| (actor, &layer.source)));
    }
    Ok(all
        .into_iter()
        .map(|(Actor { actor, mode }, source)| json!({ "actor": actor, "mode": mode, "source": source.to_string() }))
        .collect())
}

/// How many approvals a layer that asks for reviews wants, if it says so.
fn wanted(layer: &Layer) -> Option<u64> {
    layer
        .reviews
        .iter()
        .map(|reviews| reviews.approvals.as_ref().ok().copied())
        .try_fold(0, |most, count| Some(most.max(count?)))
}

fn of_layer(layer: &Layer, of_rulesets: &OfRulesets) -> Said<Vec<Actor>> {
    if let Some(said) = &layer.bypass {
        return said.clone();
    }
    let id = match layer.source {
        Source::Ruleset { id, .. } => id,
        Source::Classic => None,
    };
    let (_, said) = id
        .and_then(|id| of_rulesets.get(&id))
        .ok_or_else(|| format!("it is not known who bypasses {}", layer.source))?;
    said.clone()
        .map_err(|reason| format!("it is not known who bypasses {}: {reason}", layer.source))
}

#[cfg(test)]
mod tests;
