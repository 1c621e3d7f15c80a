//! GitHub's rate limits: what its answers say, and how long to wait. Pure; no clock is read here.

use chrono::{DateTime, TimeDelta, Utc};
use evidenced_collector_api::RateLimit;
use http::{HeaderMap, StatusCode};
use std::collections::BTreeMap;
use std::time::Duration;

/// What GitHub asks for where it names no time, after a secondary limit.
const SECONDARY: Duration = Duration::from_mins(1);

/// A primary limit, as the newest answer told it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Budget {
    limit: u64,
    remaining: u64,
    reset: DateTime<Utc>,
}

/// The limits of one identity: each resource (`core`, `graphql`) has its own.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    /// In percent.
    share: u64,
    budgets: BTreeMap<String, Budget>,
    /// Nobody asks before this, after a secondary limit.
    pause_until: Option<DateTime<Utc>>,
}

impl Limits {
    pub(crate) fn new(share: u64) -> Self {
        Self {
            share,
            budgets: BTreeMap::new(),
            pause_until: None,
        }
    }

    /// What was told of each limit, less what was asked since.
    pub(crate) fn told(&self) -> Vec<RateLimit> {
        let told = |(name, budget): (&String, &Budget)| RateLimit {
            name: name.clone(),
            limit: budget.limit,
            remaining: budget.remaining,
            reset: budget.reset,
        };
        self.budgets.iter().map(told).collect()
    }

    /// Until when a request must wait; `None` if it may be sent now, which counts it.
    pub(crate) fn claim(&mut self, resource: &str, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        if let Some(until) = self.pause_until.filter(|until| *until > now) {
            return Some(until);
        }
        let budget = self.budgets.get_mut(resource)?;
        if budget.reset <= now {
            self.budgets.remove(resource);
            return None;
        }
        let left_to_others = budget.limit * (100 - self.share) / 100;
        if budget.remaining <= left_to_others {
            // The second in which it resets is not over yet.
            return Some(budget.reset + TimeDelta::seconds(1));
        }
        budget.remaining -= 1;
        None
    }

    /// Notes what an answer says; whether the request was refused for a limit.
    pub(crate) fn note(
        &mut self,
        status: StatusCode,
        headers: &HeaderMap,
        body: &[u8],
        now: DateTime<Utc>,
    ) -> bool {
        let number = |name: &str| -> Option<u64> { headers.get(name)?.to_str().ok()?.trim().parse().ok() };
        let told = number("x-ratelimit-limit").zip(number("x-ratelimit-remaining"));
        if let Some(((limit, remaining), reset)) = told.zip(number("x-ratelimit-reset"))
            && let Some(reset) = i64::try_from(reset)
                .ok()
                .and_then(|at| DateTime::from_timestamp(at, 0))
        {
            let resource = headers
                .get("x-ratelimit-resource")
                .and_then(|value| value.to_str().ok())
                .unwrap_or("core");
            let budget = Budget {
                limit,
                remaining,
                reset,
            };
            let known = self.budgets.entry(resource.to_owned()).or_insert(budget);
            if status == StatusCode::NOT_MODIFIED {
                // It costs nothing, and was counted as it was sent.
                known.remaining += 1;
            }
            // Answers overtake each other: within a window only the least that was said counts.
            if reset > known.reset || (reset == known.reset && remaining < known.remaining) {
                *known = budget;
            }
        }
        let refused = matches!(status, StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS);
        if !refused {
            return false;
        }
        let retry_after = number("retry-after").map(Duration::from_secs);
        let secondary = contains(body, b"secondary rate limit") || contains(body, b"abuse detection");
        let primary = number("x-ratelimit-remaining") == Some(0);
        if retry_after.is_some() || secondary {
            let wait = retry_after.unwrap_or(SECONDARY);
            let until = now + TimeDelta::from_std(wait).unwrap_or(TimeDelta::MAX);
            self.pause_until = self.pause_until.max(Some(until));
            return true;
        }
        primary || status == StatusCode::TOO_MANY_REQUESTS
    }

    /// Notes that GraphQL said, in an answer of status 200, that its limit is used up.
    pub(crate) fn used_up(&mut self, resource: &str) {
        if let Some(budget) = self.budgets.get_mut(resource) {
            budget.remaining = 0;
        }
    }
}

fn contains(body: &[u8], words: &[u8]) -> bool {
    body.windows(words.len())
        .any(|part| part.eq_ignore_ascii_case(words))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + second, 0).unwrap()
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| {
                let value = HeaderValue::from_str(value).unwrap();
                (http::HeaderName::from_static(name), value)
            })
            .collect()
    }

    fn budget(remaining: &str, reset: i64) -> HeaderMap {
        headers(&[
            ("x-ratelimit-limit", "5000"),
            ("x-ratelimit-remaining", remaining),
            ("x-ratelimit-reset", &(1_800_000_000 + reset).to_string()),
            ("x-ratelimit-resource", "core"),
        ])
    }

    #[test]
    fn a_share_of_the_limit_is_left_to_others() {
        let mut limits = Limits::new(80);
        assert_eq!(limits.claim("core", at(0)), None);
        assert!(!limits.note(StatusCode::OK, &budget("1002", 600), b"", at(0)));
        assert_eq!(limits.claim("core", at(0)), None);
        assert_eq!(limits.claim("core", at(0)), None);
        assert_eq!(limits.claim("core", at(0)), Some(at(601)));
        assert_eq!(limits.claim("graphql", at(0)), None);
        assert_eq!(limits.claim("core", at(600)), None);
    }

    #[test]
    fn an_answer_that_was_overtaken_raises_no_budget() {
        let mut limits = Limits::new(100);
        limits.note(StatusCode::OK, &budget("1", 600), b"", at(0));
        limits.note(StatusCode::OK, &budget("50", 600), b"", at(0));
        assert_eq!(limits.claim("core", at(0)), None);
        assert_eq!(limits.claim("core", at(0)), Some(at(601)));
        limits.note(StatusCode::OK, &budget("4999", 4200), b"", at(0));
        assert_eq!(limits.claim("core", at(0)), None);
    }

    #[test]
    fn an_answer_that_did_not_change_costs_nothing() {
        let mut limits = Limits::new(100);
        limits.note(StatusCode::OK, &budget("1", 600), b"", at(0));
        for _ in 0..5 {
            assert_eq!(limits.claim("core", at(0)), None);
            limits.note(StatusCode::NOT_MODIFIED, &budget("1", 600), b"", at(0));
        }
        assert_eq!(limits.claim("core", at(0)), None);
        assert_eq!(limits.claim("core", at(0)), Some(at(601)));
    }

    #[test]
    fn a_secondary_limit_stops_everything_for_as_long_as_is_asked() {
        let mut limits = Limits::new(80);
        let told = headers(&[("retry-after", "30")]);
        assert!(limits.note(StatusCode::FORBIDDEN, &told, b"{}", at(0)));
        assert_eq!(limits.claim("graphql", at(29)), Some(at(30)));
        assert_eq!(limits.claim("core", at(30)), None);
        let body = br#"{"message":"You have exceeded a secondary rate limit"}"#;
        assert!(limits.note(StatusCode::FORBIDDEN, &HeaderMap::new(), body, at(40)));
        assert_eq!(limits.claim("core", at(40)), Some(at(100)));
    }

    #[test]
    fn a_refusal_is_not_taken_for_a_limit() {
        let mut limits = Limits::new(80);
        let body = br#"{"message":"Resource not accessible by personal access token"}"#;
        assert!(!limits.note(StatusCode::FORBIDDEN, &budget("4000", 600), body, at(0)));
        assert!(limits.note(StatusCode::FORBIDDEN, &budget("0", 600), b"{}", at(0)));
    }
}
